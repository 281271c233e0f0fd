"""Limits follow from what a row's state really takes."""

import pytest
import torch

from needlework.cost.formulas import costs
from needlework.cost.room import CALL_TOKENS, LEAST_TOKENS, MOST_ROWS, Cell, Room
from needlework.engine.memory import (
    DoesNotFitError,
    limits_for,
    longest_that_fits,
    needed_bytes,
    out_of_memory_after,
    row_bytes,
)
from needlework.errors import EngineError
from needlework.models.decoder import Decoder
from needlework.models.hazards import with_hazards
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


def cell_of(decoder: Decoder, longest: int) -> Cell:
    return Cell(costs(decoder.config), 8, longest, 0, contested=True)


@pytest.mark.parametrize("slots", [2, 5, 40])
@pytest.mark.parametrize("name", ["transformerpp", "mamba2"])
def test_little_memory_means_few_rows(name: str, slots: int) -> None:
    """Of it a slot for every row, and what the larger kind of forward call needs beside them."""
    decoder = family(name)
    room = Room(slots, slots, 0, CALL_TOKENS["cpu"])
    memory = cell_of(decoder, 1000).peak_bytes(room, slots, "cpu")
    limits = limits_for(decoder, 1000, memory=memory)
    assert (limits.rows, limits.total) == (slots, slots)
    assert limits.states == max(1, slots // 4)
    less = limits_for(decoder, 1000, memory=memory - 1)
    assert less.total < slots


def test_where_one_row_fits_prompts_are_read_one_by_one() -> None:
    """Then there is no slot for a kept branch, and calls are as short as they must be."""
    decoder = family("transformerpp", dtype=torch.bfloat16)
    limits = limits_for(decoder, 1000, memory=needed_bytes(decoder, 1000))
    assert (limits.rows, limits.states, limits.total) == (1, 0, 1)
    assert limits.tokens >= LEAST_TOKENS


GROWING = ["llama", "transformerpp", "mamba2attn"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", GROWING)
@pytest.mark.parametrize("memory", [1 << 20, 5_000_001, 1 << 30])
def test_the_longest_that_fits_is_computed(name: str, dtype: torch.dtype, memory: int) -> None:
    decoder = family(name, dtype=dtype)
    fits = longest_that_fits(decoder, memory)
    assert needed_bytes(decoder, fits) <= memory < needed_bytes(decoder, fits + 1)
    assert limits_for(decoder, fits, memory=memory).rows >= 1
    needs = f"{fits + 1} tokens of prompt and answer need .* up to {fits} fit: choose a"
    with pytest.raises(EngineError, match=needs):
        limits_for(decoder, fits + 1, memory=memory)


@pytest.mark.parametrize("name", ["mamba2", "griffin", "rwkv6"])
def test_a_recurrent_cell_fits_at_any_length_or_at_none(name: str) -> None:
    decoder = family(name)
    needed = needed_bytes(decoder, 10_000)
    assert needed_bytes(decoder, 1 << 20) == needed
    limits_for(decoder, 1 << 20, memory=needed)
    with pytest.raises(EngineError, match=r"up to \d+ fit"):
        limits_for(decoder, 1 << 20, memory=needed // 8)


def test_a_model_with_fewer_positions_is_not_said_to_read_more() -> None:
    plain = family("llama")
    decoder = Decoder(plain.config.model_copy(update={"positions": 40}))
    assert longest_that_fits(decoder, 1 << 30) == 40


def test_a_prompt_that_must_be_read_whole_needs_its_whole_mask() -> None:
    """The published window defect lets no prompt be cut."""
    plain = family("griffin", dtype=torch.float32)
    decoder = Decoder(with_hazards(plain.config, ["rg-window"]))
    assert needed_bytes(decoder, 100_000) > 50 * needed_bytes(plain, 100_000)


def test_plenty_of_memory_stops_at_what_is_useful() -> None:
    limits = limits_for(family("mamba2"), 100, memory=1 << 40)
    assert (limits.tokens, limits.rows) == (CALL_TOKENS["cpu"], MOST_ROWS["cpu"])


def test_a_mask_over_a_long_prompt_does_not_shorten_the_calls() -> None:
    """128K keys for each of 2,048 queries would be gigabytes; they come in blocks."""
    decoder = family("llama")
    assert limits_for(decoder, 131_072, memory=320 << 20).tokens == CALL_TOKENS["cpu"]


def test_half_of_what_is_free_is_used_when_nobody_says() -> None:
    assert limits_for(family("mamba2"), 100).rows > 1


def test_an_error_keeps_how_far_the_row_came() -> None:
    with pytest.raises(DoesNotFitError) as caught, out_of_memory_after(17):
        raise MemoryError
    assert caught.value.tokens == 17
