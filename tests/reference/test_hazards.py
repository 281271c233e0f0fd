"""The published defects, switched on, do what the published code did - and nothing when off.

Each is compared with a loop written from the description of the defect (PAPER.md, H2 and H3).
"""

import math

import pytest
import torch
from torch import Tensor

from needlework.defects import LayerHazard
from needlework.errors import CheckpointError
from needlework.models.attention import Attention
from needlework.models.decoder import Decoder
from needlework.models.hazards import with_hazards
from tests.models_for_tests import SPECS, WIDTH, family, randomise
from tests.reference.naive import convolution, rotated

TOLERANCE = 1e-10


def defective(name: str, hazard: LayerHazard) -> tuple[Decoder, Decoder]:
    """A family without and with a defect, same weights."""
    honest = family(name)
    broken = Decoder(with_hazards(honest.config, [hazard])).double().eval()
    broken.load_state_dict(honest.state_dict())
    return honest, broken.requires_grad_(False)


def prompt(tokens: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 40, (1, tokens), generator=torch.Generator().manual_seed(seed))


def answer(decoder: Decoder, tokens_BT: Tensor, read: int) -> list[Tensor]:
    """Logits after a prompt of `read` tokens and after every further token."""
    logits, state = decoder(tokens_BT[:, :read], decoder.init_state(1))
    state = state.after_prompt()
    rows = [logits[0, -1]]
    for token in tokens_BT[:, read:].unbind(1):
        logits, state = decoder(token[:, None], state)
        rows.append(logits[0, -1])
    return rows


def test_convolved_tail_leaves_the_first_token_right_and_the_next_ones_wrong() -> None:
    """PAPER.md H2: prefill exact, every decoded token after the first off by whole logits."""
    honest, broken = defective("mamba2attn", "m2a-conv-state")
    tokens_BT = prompt(30)
    expected, actual = answer(honest, tokens_BT, 24), answer(broken, tokens_BT, 24)
    torch.testing.assert_close(actual[0], expected[0], rtol=TOLERANCE, atol=TOLERANCE)
    for right, wrong in zip(expected[1:], actual[1:], strict=True):
        assert (right - wrong).abs().max() > 0.1


def test_convolved_tail_is_what_the_published_decoding_computes() -> None:
    """Keys, queries and values after the prompt come from a window of outputs, then of inputs."""
    spec = SPECS["convolved attention"].model_copy(update={"convolved_tail": True})
    layer = Attention(WIDTH, spec).double()
    randomise(layer)
    x_TD = torch.randn(12, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    read = 7
    with torch.no_grad():
        _, state = layer(x_TD[None, :read], layer.init_state(1))
        state = state.after_prompt()
        actual, _ = layer(x_TD[None, read:], state)
        expected = published_convolution_decoding(layer, x_TD, read)
    torch.testing.assert_close(actual[0], expected, rtol=TOLERANCE, atol=TOLERANCE)


def published_convolution_decoding(layer: Attention, x_TD: Tensor, read: int) -> Tensor:
    """mamba_ssm's MHA: prefill leaves convolved rows in the state, decoding pushes raw ones."""
    inputs = layer.project_in(x_TD)
    rows = list(convolution(layer.convolution, inputs[:read]))
    window = rows[-4:]
    for raw in inputs[read:]:
        window = [*window[1:], raw]
        taps = [layer.convolution.weight[:, 0, k] * window[k] for k in range(4)]
        rows.append(layer.convolution.bias + sum(taps))
    return attend(layer, torch.stack(rows), read)


def attend(layer: Attention, qkv_TC: Tensor, first: int) -> Tensor:
    """Plain causal attention over rows of [q, k, v], for the queries from `first` on."""
    spec = layer.spec
    heads = qkv_TC.view(len(qkv_TC), -1, spec.head_width)
    queries, keys, values = heads.split([spec.heads, spec.kv_heads, spec.kv_heads], dim=1)
    rows = []
    for t in range(first, len(qkv_TC)):
        outputs = []
        for head in range(spec.heads):
            q = rotated(queries[t, head], t, spec.rotary_width, spec.rotary_base)
            k = [
                rotated(keys[s, head], s, spec.rotary_width, spec.rotary_base) for s in range(t + 1)
            ]
            weights = torch.softmax(torch.stack(k) @ q / math.sqrt(spec.head_width), dim=0)
            outputs.append(weights @ values[: t + 1, head])
        rows.append(layer.project_out(torch.cat(outputs)))
    return torch.stack(rows)


@pytest.mark.parametrize("tokens", [2, 5])
def test_shifted_window_is_harmless_up_to_the_window(tokens: int) -> None:
    """PAPER.md H3: identical up to the window (5 keys here)."""
    honest, broken = defective("griffin", "rg-window")
    for right, wrong in zip(
        answer(honest, prompt(tokens + 6), tokens),
        answer(broken, prompt(tokens + 6), tokens),
        strict=True,
    ):
        torch.testing.assert_close(wrong, right, rtol=TOLERANCE, atol=TOLERANCE)


def test_shifted_window_spoils_longer_prompts() -> None:
    """PAPER.md H3: past the window the logits of the last token are off.

    The last layer that attends does see the right keys, so a layer must follow that reads back.
    """
    honest, broken = defective("griffin", "rg-window")
    right, wrong = answer(honest, prompt(23), 23)[0], answer(broken, prompt(23), 23)[0]
    assert (right - wrong).abs().max() > 0.01


def test_shifted_window_is_what_the_published_mask_computes() -> None:
    """Column c of the mask belongs to key c, but the key there is the c-th of the last window."""
    spec = SPECS["window"].model_copy(update={"shifted_window": True})
    layer = Attention(WIDTH, spec).double()
    randomise(layer)
    tokens, window = 13, spec.window
    x_TD = torch.randn(
        tokens, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    with torch.no_grad():
        actual, _ = layer(x_TD[None], layer.init_state(1))
        heads = layer.project_in(x_TD).view(tokens, -1, spec.head_width)
        queries, keys, values = heads.split([spec.heads, spec.kv_heads, spec.kv_heads], dim=1)
        rows = []
        for t in range(tokens):
            seen = [tokens - window + c for c in range(window) if c <= t]
            outputs = []
            for head in range(spec.heads):
                q = rotated(queries[t, head], t, spec.rotary_width, spec.rotary_base)
                k = torch.stack(
                    [rotated(keys[s, 0], s, spec.rotary_width, spec.rotary_base) for s in seen]
                )
                weights = torch.softmax(k @ q / math.sqrt(spec.head_width), dim=0)
                outputs.append(weights @ values[seen, 0])
            rows.append(layer.project_out(torch.cat(outputs)))
    torch.testing.assert_close(actual[0], torch.stack(rows), rtol=TOLERANCE, atol=TOLERANCE)


def test_shifted_window_of_a_padded_batch_equals_each_row() -> None:
    _, broken = defective("griffin", "rg-window")
    lengths = torch.tensor([17, 4, 9])
    tokens_BT = torch.cat([prompt(17, seed) for seed in range(3)])
    logits, state = broken(tokens_BT, broken.init_state(3), lengths)
    after, _ = broken(tokens_BT[:, :1], state)
    for row, length in enumerate(lengths.tolist()):
        alone, state = broken(tokens_BT[row : row + 1, :length], broken.init_state(1))
        torch.testing.assert_close(logits[row, :length], alone[0], rtol=TOLERANCE, atol=TOLERANCE)
        again, _ = broken(tokens_BT[row : row + 1, :1], state)
        torch.testing.assert_close(after[row], again[0], rtol=TOLERANCE, atol=TOLERANCE)


def test_a_defect_needs_a_layer_that_can_have_it() -> None:
    with pytest.raises(CheckpointError, match=r"m2a-conv-state needs attention.*llama"):
        with_hazards(family("llama").config, ["m2a-conv-state"])


def test_hazards_are_off_unless_asked_for() -> None:
    assert not family("mamba2attn").config.one_shot
    assert with_hazards(family("griffin").config, []) == family("griffin").config
