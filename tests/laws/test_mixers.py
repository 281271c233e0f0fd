"""Laws of state: splitting, forking or batching a sequence never changes its outputs."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from needlework.models import attending
from needlework.models.decoder import Decoder
from needlework.models.ssd import last_state, selective_scan
from needlework.models.state import DecoderState
from tests.models_for_tests import FAMILIES, SPECS, WIDTH, family, mixer

# Sums in another order; float64 keeps about 16 digits.
TOLERANCE = 1e-10


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=TOLERANCE, atol=TOLERANCE)


def inputs(rows: int, tokens: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, tokens, WIDTH, generator=generator, dtype=torch.float64)


def prompt(rows: int, tokens: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 40, (rows, tokens), generator=torch.Generator().manual_seed(seed))


def run_in_pieces(layer: Callable, x: Tensor, state: object, cuts: list[int]) -> Tensor:
    outputs, start = [], 0
    for end in [*cuts, x.shape[1]]:
        y, state = layer(x[:, start:end], state)
        outputs.append(y)
        start = end
    return torch.cat(outputs, dim=1)


@pytest.mark.parametrize("cuts", [[1], [3, 4], [8, 16], [5, 6, 7, 29], list(range(1, 37))])
@pytest.mark.parametrize("name", SPECS)
def test_cutting_a_sequence_anywhere_changes_nothing(name: str, cuts: list[int]) -> None:
    layer, x = mixer(name), inputs(2, 37)
    with torch.no_grad():
        whole, _ = layer(x, layer.init_state(2))
        close(run_in_pieces(layer, x, layer.init_state(2), cuts), whole)


@pytest.mark.parametrize("pairs", [1, 100])
@pytest.mark.parametrize("name", ["attention", "grouped attention", "window"])
def test_queries_whose_mask_would_be_large_come_in_blocks(
    name: str, pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, x, lengths = mixer(name), inputs(3, 40), torch.tensor([20, 3, 11])
    with torch.no_grad():
        _, before = layer(x[:, :20], layer.init_state(3), lengths)
        expected, _ = layer(x[:, 20:], before, lengths)
        monkeypatch.setattr(attending, "MASKED_PAIRS", pairs)
        found, _ = layer(x[:, 20:], before, lengths)
    for row, length in enumerate(lengths):
        close(found[row, :length], expected[row, :length])


@pytest.mark.parametrize("name", SPECS)
def test_the_same_state_continues_the_same_way_twice(name: str) -> None:
    """An attention cache that is written in place would remember the first continuation."""
    layer = mixer(name)
    with torch.no_grad():
        _, state = layer(inputs(2, 9), layer.init_state(2))
        first, _ = layer(inputs(2, 6, seed=1), state)
        layer(inputs(2, 4, seed=2), state)
        again, _ = layer(inputs(2, 6, seed=1), state)
    assert torch.equal(first, again)


@pytest.mark.parametrize("name", SPECS)
def test_siblings_of_one_state_do_not_meet(name: str) -> None:
    """The second continuation must not write where the first one reads on."""
    layer = mixer(name)
    with torch.no_grad():
        _, parent = layer(inputs(1, 9), layer.init_state(1))
        _, first = layer(inputs(1, 3, seed=1), parent)
        layer(inputs(1, 3, seed=2), parent)
        actual, _ = layer(inputs(1, 4, seed=3), first)
        joined = torch.cat([inputs(1, 9), inputs(1, 3, seed=1), inputs(1, 4, seed=3)], dim=1)
        expected, _ = layer(joined, layer.init_state(1))
    close(actual, expected[:, 12:])


@pytest.mark.parametrize("name", SPECS)
def test_forks_are_independent(name: str) -> None:
    layer, endings = mixer(name), inputs(6, 5, seed=3)
    with torch.no_grad():
        _, state = layer(inputs(2, 9), layer.init_state(2))
        forked, _ = layer(endings, state.fork(3))
        for row in range(6):
            alone, _ = layer(endings[row : row + 1], state.select(torch.tensor([row // 3])))
            close(forked[row : row + 1], alone)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_row_in_a_mixed_batch_equals_the_row_alone(name: str) -> None:
    """Rows of different history and different new length, padded, then continued together."""
    decoder = family(name)
    histories, lengths = [0, 3, 11, 7], [5, 1, 9, 0]
    states, tokens_BT = [], prompt(4, 9, seed=5)
    for row, history in enumerate(histories):
        state = decoder.init_state(1)
        if history:
            _, state = decoder(prompt(1, history, seed=row), state)
        states.append(state)
    together = DecoderState.stack(states)
    logits_BTV, together = decoder(tokens_BT, together, torch.tensor(lengths))
    after_BTV, _ = decoder(prompt(4, 3, seed=6), together)
    for row, length in enumerate(lengths):
        alone = states[row]
        if length:
            expected, alone = decoder(tokens_BT[row : row + 1, :length], alone)
            close(logits_BTV[row : row + 1, :length], expected)
        expected, _ = decoder(prompt(4, 3, seed=6)[row : row + 1], alone)
        close(after_BTV[row : row + 1], expected)


@pytest.mark.parametrize("tokens", [1, 2, 37])
@pytest.mark.parametrize("name", SPECS)
def test_reading_for_the_last_token_gives_what_reading_for_all_does(name: str, tokens: int) -> None:
    """Rows of any length, one of them empty, after a history, and then continued."""
    layer, x, more = mixer(name), inputs(4, tokens, seed=4), inputs(4, 3, seed=8)
    lengths = torch.tensor([tokens, max(1, tokens // 2), 0, 1])
    with torch.no_grad():
        _, state = layer(inputs(4, 7), layer.init_state(4))
        for valid in (None, lengths):
            whole, after = layer(x, state, valid)
            ends, read = layer.read(x, state, valid)
            assert ends.shape == (4, 1, WIDTH)
            for row in range(4):
                if length := tokens if valid is None else int(lengths[row]):
                    close(ends[row, 0], whole[row, length - 1])
            close(layer(more, read)[0], layer(more, after)[0])


@pytest.mark.parametrize("name", FAMILIES)
def test_a_decoder_reads_for_the_last_token_what_it_gives_there(name: str) -> None:
    decoder, tokens_BT, lengths = family(name), prompt(3, 20), torch.tensor([20, 1, 11])
    for valid in (None, lengths):
        logits_BTV, after = decoder(tokens_BT, decoder.init_state(3), valid)
        ends_BD, read = decoder.read(tokens_BT, decoder.init_state(3), valid)
        last = torch.full((3,), 19) if valid is None else valid - 1
        close(decoder.logits(ends_BD), logits_BTV[torch.arange(3), last])
        close(decoder(prompt(3, 4, seed=1), read)[0], decoder(prompt(3, 4, seed=1), after)[0])


def test_a_state_reached_at_once_is_exact_in_float32() -> None:
    """Decays summed from the beginning would round away those of the last tokens."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 4096, 2, 4, generator=generator, dtype=torch.float64)
    step = 4 * torch.rand(1, 4096, 2, generator=generator, dtype=torch.float64)
    write = torch.randn(1, 4096, 1, 8, generator=generator, dtype=torch.float64)
    rate, state = torch.tensor([-1.0, -0.01]).double(), torch.ones(1, 2, 4, 8).double()
    _, exact = selective_scan(x, step, rate, write, write, state, chunk=32)
    close(last_state(x, step, rate, write, state), exact)
    single = last_state(*(each.float() for each in (x, step, rate, write, state)))
    torch.testing.assert_close(single.double(), exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_decoding_token_by_token_equals_prefill(name: str) -> None:
    decoder, tokens_BT = family(name), prompt(2, 30)
    whole, _ = decoder(tokens_BT, decoder.init_state(2))
    close(run_in_pieces(decoder, tokens_BT, decoder.init_state(2), list(range(1, 30))), whole)


@pytest.mark.parametrize("name", FAMILIES)
def test_float32_stays_near_float64(name: str) -> None:
    tokens_BT = prompt(1, 64)
    exact_decoder, decoder = family(name), family(name, dtype=torch.float32)
    exact, _ = exact_decoder(tokens_BT, exact_decoder.init_state(1))
    logits, _ = decoder(tokens_BT, decoder.init_state(1))
    torch.testing.assert_close(logits.double(), exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["ssd", "gated delta", "rglru", "time mix", "channel mix", "mlp"])
def test_recurrent_states_do_not_grow(name: str) -> None:
    layer = mixer(name)
    with torch.no_grad():
        _, short = layer(inputs(1, 4), layer.init_state(1))
        _, long = layer(inputs(1, 400), layer.init_state(1))
    assert long.bytes == short.bytes


def test_a_windowed_cache_does_not_grow_with_the_prompt() -> None:
    """Token by token, the window of 5 keeps at most a small multiple of 5 keys."""
    layer = mixer("window")
    state = layer.init_state(1)
    with torch.no_grad():
        for step in range(300):
            _, state = layer(inputs(1, 1, seed=step), state)
    assert state.cache.longest <= 2 * layer.spec.window + 1


@pytest.mark.parametrize("name", FAMILIES)
def test_stacked_states_select_apart_again(name: str) -> None:
    decoder: Decoder = family(name)
    _, first = decoder(prompt(2, 5), decoder.init_state(2))
    _, second = decoder(prompt(1, 9, seed=1), decoder.init_state(1))
    both = DecoderState.stack([first, second])
    expected, _ = decoder(prompt(1, 2, seed=2), second)
    actual, _ = decoder(prompt(1, 2, seed=2), both.select(torch.tensor([2])))
    close(actual, expected)


def test_rows_with_equally_many_keys_may_have_read_differently_far() -> None:
    """Behind a window rows drop old keys at different times. Stacked, the second of two rows was
    once rotated by the position of the first, because both held the same number of keys."""
    decoder = family("griffin")
    states = []
    for row, pieces in enumerate(([4, 9, 3, 5, 3], [9, 10, 3])):
        state = decoder.init_state(1)
        for piece in pieces:
            _, state = decoder(prompt(1, piece, seed=row), state)
        states.append(state)
    keys = [state.layers[1].cache for state in states]
    assert keys[0].longest == keys[1].longest
    assert keys[0].position_B != keys[1].position_B
    together, _ = decoder(prompt(2, 3, seed=7), DecoderState.stack(states))
    for row, state in enumerate(states):
        alone, _ = decoder(prompt(2, 3, seed=7)[row : row + 1], state)
        close(together[row : row + 1], alone)
