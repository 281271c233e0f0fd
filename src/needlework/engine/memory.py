"""How much fits: the size of states, limits that follow from it, one name for running out.

A cell whose longest row cannot fit even alone is refused before anything is read, weights included.
"""

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch

from needlework.cost.formulas import costs
from needlework.cost.room import CHUNK, SHARE_OF_FREE, Cell, Prefix, room_for
from needlework.engine.choosing import CLOSE
from needlework.engine.schedule import Limits
from needlework.errors import EngineError
from needlework.models.allocation import is_out_of_memory
from needlework.models.config import Attention
from needlework.models.decoder import Decoder

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


def errors_behind(error: BaseException) -> list[Exception]:
    """An error, and those during whose handling it was raised, the first of them at the end."""
    found: list[Exception] = []
    at: BaseException | None = error
    while isinstance(at, Exception):
        found.append(at)
        at = at.__cause__ or at.__context__
    return found


def out_of_memory_among(errors: Iterable[Exception]) -> Exception | None:
    """The first of these errors that says that memory ran out."""
    return next(filter(is_out_of_memory, errors), None)


def limits_for(
    decoder: Decoder,
    longest: int,
    *,
    answer: int = 0,
    slot: int | None = None,
    memory: int | None = None,
) -> Limits:
    """Limits under which a cell stays below `memory` bytes beside the weights.

    Its longest row has `longest` tokens, of which `answer` are written; a slot has room for `slot`,
    where that is more. What needs how much is said in `cost.room`. Where this is too hopeful,
    running out of memory halves the limits.

    Raises:
        EngineError: the longest row does not fit even alone; says which would.
    """
    device = decoder.embedding.weight.device
    # Nobody who gave no number asked for restraint: then all that is free counts.
    refuse_too_long(decoder, longest, memory or all_free_bytes(device))
    cell = _cell(decoder, slot or longest, answer)
    return _limits(cell, memory or free_bytes(device), device)


def limits_beside(
    decoder: Decoder, prefix: Prefix, longest: int, *, answer: int, memory: int
) -> Limits:
    """The limits for rows beside a prefix, with room for `longest` tokens, its own included."""
    cell = _cell(decoder, longest, answer)._replace(prefix=prefix)
    return _limits(cell, memory, decoder.embedding.weight.device)


def _limits(cell: Cell, budget: int, device: torch.device) -> Limits:
    room = room_for(cell, budget, device.type)
    enough = room.slots >= room.rows + room.states
    return Limits(
        tokens=room.tokens,
        chunk=CHUNK[device.type],
        rows=room.rows,
        states=room.states if room.slots > 1 else 0,
        slots=None if enough else room.slots,
        prefix=cell.prefix.tokens,
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

    Where rounding could decide, the prompt is read once more beside that.
    """
    return _cell(decoder, tokens, 0).least_bytes


def _cell(decoder: Decoder, longest: int, answer: int) -> Cell:
    dtype = decoder.embedding.weight.dtype
    return Cell(costs(decoder.config), dtype.itemsize, longest, answer, dtype in CLOSE)


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
