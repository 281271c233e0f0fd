"""Speeds: what is refused, halved or left out where memory ends."""

from typing import Any

import pytest
import torch

from needlework.engine.memory import DoesNotFitError
from needlework.errors import EngineError
from needlework.proving import answering, clocks, measuring
from needlework.proving.records import PromptSpeed
from needlework.proving.steps import TOY
from tests.models_for_tests import family

SMALL = TOY._replace(
    models={"a/model": family("llama").config},
    lengths=(8, 16),
    call=32,
    rows=(1, 2),
    context=8,
    long=(16, 40),
    piece=8,
    most=64,
    prompts=3,
    answer=2,
    batches=(2,),
)


def limited(monkeypatch: pytest.MonkeyPatch, tokens: int) -> None:
    """Let the engine's reading run out of memory in calls of more tokens."""
    original = clocks.read

    def read(decoder: Any, prompts: Any, state: Any, *, limits: Any) -> Any:
        if min(limits.tokens, sum(map(len, prompts))) > tokens:
            raise DoesNotFitError(5)
        return original(decoder, prompts, state, limits=limits)

    monkeypatch.setattr(clocks, "read", read)


def test_prompts_are_read_in_calls_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, 12)
    found = measuring.measure_speed(SMALL, "a/model")
    (reading,) = found.reading
    assert (reading.length, reading.rows) == (8, 1)
    assert found.rates is not None


def test_rows_that_do_not_fit_have_no_speed_and_give_no_rates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = measuring._write

    def write(*words: Any) -> None:
        if words[3] > 1:
            raise DoesNotFitError(8)
        original(*words)

    monkeypatch.setattr(measuring, "_write", write)
    found = measuring.measure_speed(SMALL, "a/model")
    assert [each.tokens_per_second is None for each in found.writing] == [False, True]
    assert found.rates is None


@pytest.mark.parametrize("fits", [0, 8, 40, 64])
def test_the_longest_context_is_found_by_trying(monkeypatch: pytest.MonkeyPatch, fits: int) -> None:
    monkeypatch.setattr(measuring, "_reads_on", lambda decoder, tokens, piece: tokens <= fits)
    found = measuring.measure_speed(SMALL, "a/model")
    assert found.longest == fits
    assert found.at_least == (fits == SMALL.most)


def test_a_filled_cache_is_read_on_from(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = family("llama", dtype=torch.float32)
    state = measuring._filled(decoder, 24, 3)
    hidden_RD, state = decoder.read(torch.zeros(1, 3, dtype=torch.long), state)
    assert torch.isfinite(hidden_RD).all()
    assert state.bytes >= family("llama", dtype=torch.float32).init_state(1).bytes + 27


def test_a_state_that_does_not_grow_has_no_longest_context() -> None:
    spec = family("griffin").config
    found = measuring.measure_speed(SMALL._replace(models={"a/model": spec}), "a/model")
    assert found.longest is None


def test_rates_say_again_what_steps_took() -> None:
    """What the cost model makes of them for one row and for many is what was measured."""
    decoder = family("mamba2", dtype=torch.float32)
    counted = measuring.costs(decoder.config)
    reading = [PromptSpeed(length=8, rows=1, tokens_per_second=1, flops=7.0, peak_bytes=None)]
    rates = measuring._rates(decoder, SMALL, reading, {1: 0.010, 11: 0.012})
    assert rates is not None
    state = 2 * counted.fixed_bytes(4) + counted.key_bytes(SMALL.context, 4)
    for rows, seconds in ((1, 0.010), (11, 0.012)):
        moved = counted.step_bytes(4) + rows * state
        assert rates.step + moved / rates.bandwidth == pytest.approx(seconds)
    assert rates.flops == 7.0


def test_answers_that_depend_on_the_batch_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {1: {0: (1, 2), 1: (3, 4), 2: (5, 6)}, 2: {0: (1, 2), 1: (3, 9), 2: (5, 6)}}
    monkeypatch.setattr(answering, "_answers", lambda decoder, scale, rows: answers[rows])
    assert answering.compare_batches(SMALL, "a/model").differing == {2: 1}


def test_an_answer_that_failed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    original = answering.random_decoder

    def spoilt(*words: Any, **named: Any) -> Any:
        decoder = original(*words, **named)
        decoder.norm.weight.fill_(float("nan"))
        return decoder

    monkeypatch.setattr(answering, "random_decoder", spoilt)
    with pytest.raises(EngineError, match="not finite"):
        answering.compare_batches(SMALL, "a/model")


def test_a_long_prompt_is_read_under_smaller_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, 16)
    assert answering.read_long(SMALL, "a/model").tokens == 40


def test_a_long_prompt_that_never_fits_says_where_it_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limited(monkeypatch, 1)
    with pytest.raises(EngineError, match="40 tokens do not fit: memory ran out after 5"):
        answering.read_long(SMALL, "a/model")
