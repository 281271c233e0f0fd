"""How much fits: the size of states, limits that follow from it, one name for running out.

A cell whose longest row cannot fit even alone is refused before anything is read, weights included.
"""

import os
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from needlework.engine.choosing import CLOSE
from needlework.engine.schedule import ALONE, LEAST_TOKENS, Limits
from needlework.errors import EngineError
from needlework.models.allocation import is_out_of_memory
from needlework.models.attending import MASKED_PAIRS
from needlework.models.config import Attention, DecoderConfig
from needlework.models.decoder import Decoder

CALL_TOKENS = {"cpu": 2048, "cuda": 32768}
"""Tokens of one forward call: enough to keep the device busy, few enough to fit its caches."""
CHUNK = {"cpu": 128, "cuda": 32768}
"""Tokens of one sequence in one call; on a CPU many short pieces are faster than one long one."""
MOST_ROWS = {"cpu": 64, "cuda": 256}
"""Rows written together; on a CPU a nano model gains nothing from more."""
MOST_STATES = 64
SHARE_OF_FREE = {"cpu": 0.5, "cuda": 0.8}
"""Of the memory that is free at the start, what may be used by default.

Main memory belongs to others as well; a GPU is a job's own, but for the gaps its allocator leaves.
"""
ROOM_TO_GROW = 1.25
"""Room of a cache over the keys in it, when it has just been enlarged."""
MASK_BYTES = 5
"""An attention mask has a byte, and inside the call a number, for every query and key."""
LONGEST = 1 << 32
"""The largest number of tokens that is tried."""
MEGABYTE = 1 << 20
UNKNOWN_FREE = 2 << 30
"""Bytes assumed to be free where the system does not report it."""


class DoesNotFitError(Exception):
    """A forward call that did not fit, after `tokens` of its longest row had been read."""

    def __init__(self, tokens: int) -> None:
        super().__init__(f"out of memory after {tokens} tokens")
        self.tokens = tokens


@contextmanager
def out_of_memory_after(tokens: int) -> Iterator[None]:
    """Give every shape an out-of-memory error can take one name."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise DoesNotFitError(tokens) from error


def limits_for(decoder: Decoder, longest: int, *, memory: int | None = None) -> Limits:
    """Limits under which a cell whose longest row has `longest` tokens stays below `memory` bytes.

    A quarter of it each for rows being read, rows being written, kept branches, and what a forward
    call needs beside them, of which a mask is a bounded part; where a quarter does not hold one
    row, prompts are read one by one and share nothing. Where this is too hopeful, running out of
    memory halves the limits.

    Raises:
        EngineError: the longest row does not fit even alone; says which would.
    """
    device = decoder.embedding.weight.device
    # Nobody who gave no number asked for restraint: then all that is free counts.
    refuse_too_long(decoder, longest, memory or all_free_bytes(device))
    budget = (memory or free_bytes(device)) // 4
    fits = budget // max(1, row_bytes(decoder, longest))
    return Limits(
        tokens=CALL_TOKENS[device.type],
        chunk=CHUNK[device.type],
        rows=max(1, min(MOST_ROWS[device.type], fits)),
        states=min(MOST_STATES, fits),
    )


def refuse_too_long(decoder: Decoder, longest: int, given: int) -> None:
    """Refuse a row of `longest` tokens that needs more than `given` bytes beside the weights.

    The decoder may be one without weights, on the device `meta`.

    Raises:
        EngineError: says what is needed, and which length would do.
    """
    needed = needed_bytes(decoder, longest)
    if needed > given:
        fits = longest_that_fits(decoder, given)
        raise EngineError(
            f"{longest} tokens of prompt and answer need {needed / MEGABYTE:,.1f} MB beside "
            f"the weights, and {given / MEGABYTE:,.1f} MB are given; up to {fits} fit: choose a "
            "shorter length, or give more memory (--memory)"
        )


def longest_that_fits(decoder: Decoder, memory: int) -> int:
    """The most tokens, prompt and answer, of a row that fits into `memory` bytes; 0 for none."""
    fits = bisect_right(range(1, LONGEST), memory, key=lambda each: needed_bytes(decoder, each))
    positions = decoder.config.positions
    return fits if positions is None else min(fits, positions)


def needed_bytes(decoder: Decoder, tokens: int) -> int:
    """Bytes that a row of so many tokens takes while it is answered alone, weights aside.

    Its cache is copied while it is enlarged, so for a moment there are two of it. Where rounding
    could decide, the prompt is read once more beside that, always in pieces of one size; then the
    mask of such a piece is what a call takes beside the caches.
    """
    empty, keys = row_bytes(decoder, 0), row_bytes(decoder, tokens) - row_bytes(decoder, 0)
    copies = 1 + ROOM_TO_GROW
    call = LEAST_TOKENS
    if decoder.embedding.weight.dtype in CLOSE:
        copies, call = 2 * copies, ALONE.chunk
    call = min(call, tokens) if decoder.reads_in_pieces else tokens
    pairs = call * _most_keys(decoder.config, tokens)
    if decoder.reads_in_pieces:
        pairs = min(pairs, MASKED_PAIRS)
    return int(copies * (empty + keys)) + MASK_BYTES * pairs


def row_bytes(decoder: Decoder, tokens: int) -> int:
    """Bytes of one row's state after `tokens` tokens."""
    keys = sum(
        2 * layer.kv_heads * layer.head_width * _keys(layer, tokens)
        for layer in decoder.config.layers
        if isinstance(layer, Attention)
    )
    return decoder.init_state(1).bytes + keys * decoder.embedding.weight.element_size()


def _keys(layer: Attention, tokens: int) -> int:
    """Keys a row keeps; a window forgets when it has twice its size."""
    return tokens if layer.window is None else min(tokens, 2 * layer.window)


def _most_keys(config: DecoderConfig, tokens: int) -> int:
    layers = [layer for layer in config.layers if isinstance(layer, Attention)]
    return max((_keys(layer, tokens) for layer in layers), default=0)


def all_free_bytes(device: torch.device) -> int:
    """Bytes that are free on this device now."""
    return int(free_bytes(device) / SHARE_OF_FREE[device.type])


def free_bytes(device: torch.device) -> int:
    """Bytes a cell may use on this device: a share of what is free now."""
    if device.type == "cuda":
        return int(SHARE_OF_FREE["cuda"] * torch.cuda.mem_get_info(device)[0])
    if "SC_AVPHYS_PAGES" not in os.sysconf_names:
        return UNKNOWN_FREE
    return int(SHARE_OF_FREE["cpu"] * os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
