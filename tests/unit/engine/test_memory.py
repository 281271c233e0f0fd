"""Limits follow from what a row's state really takes."""

import pytest
import torch

from needlework.engine.memory import (
    CALL_TOKENS,
    MOST_ROWS,
    DoesNotFitError,
    limits_for,
    out_of_memory_after,
    row_bytes,
)
from needlework.engine.schedule import LEAST_TOKENS
from tests.models_for_tests import FAMILIES, family


@pytest.mark.parametrize("name", FAMILIES)
def test_a_row_takes_what_the_formula_says(name: str) -> None:
    """The formula is what keeps a cell within its memory before anything has run."""
    decoder, tokens = family(name), 4
    _, state = decoder(torch.zeros(1, tokens, dtype=torch.long), decoder.init_state(1))
    assert row_bytes(decoder, tokens) == state.bytes


def test_a_windowed_cache_is_counted_up_to_twice_its_window() -> None:
    decoder = family("griffin")
    assert row_bytes(decoder, 9) < row_bytes(decoder, 10) == row_bytes(decoder, 10_000)


def test_a_recurrent_row_does_not_grow() -> None:
    decoder = family("rwkv6")
    assert row_bytes(decoder, 1) == row_bytes(decoder, 1_000_000)


def test_little_memory_means_few_rows() -> None:
    decoder = family("transformerpp")
    row = row_bytes(decoder, 1000)
    limits = limits_for(decoder, 1000, memory=4 * 3 * row)
    assert (limits.rows, limits.states) == (3, 3)


def test_too_little_memory_still_means_one_row() -> None:
    limits = limits_for(family("transformerpp"), 1000, memory=1)
    assert limits.rows == 1
    assert limits.tokens >= LEAST_TOKENS


def test_plenty_of_memory_stops_at_what_is_useful() -> None:
    limits = limits_for(family("mamba2"), 100, memory=1 << 40)
    assert (limits.tokens, limits.rows) == (CALL_TOKENS["cpu"], MOST_ROWS["cpu"])


def test_a_mask_over_a_long_prompt_shortens_the_calls() -> None:
    """128K keys for each of 4,096 queries would be gigabytes beside a cache of megabytes."""
    decoder = family("llama")
    assert limits_for(decoder, 131_072, memory=1 << 28).tokens < CALL_TOKENS["cpu"]


def test_half_of_what_is_free_is_used_when_nobody_says() -> None:
    assert limits_for(family("mamba2"), 100).rows > 1


def test_an_error_keeps_how_far_the_row_came() -> None:
    with pytest.raises(DoesNotFitError) as caught, out_of_memory_after(17):
        raise MemoryError
    assert caught.value.tokens == 17
