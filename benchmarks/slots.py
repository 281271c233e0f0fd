"""Bytes that are copied when rows join and leave a batch: in slots, and of states side by side.

Every tensor lies on the device `meta`, at full size and without memory. What copies do is what
states can do by themselves, `select` and `stack`, and what the engine did before there were slots.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import NamedTuple
from unittest import mock

import torch
from torch import Tensor

from benchmarks.counting import counted
from needlework.cost.published import published
from needlework.models import key_values, slots
from needlework.models.allocation import allocate
from needlework.models.attention import AttentionState
from needlework.models.config import Attention, DecoderConfig
from needlework.models.decoder import Decoder
from needlework.models.key_values import KeyValueState
from needlework.models.slots import KeyValueSlots
from needlework.models.state import DecoderState

ANSWER = 128
"""Tokens of an answer."""
GIGABYTE = 1e9


class Copied(NamedTuple):
    """Bytes read and written by copies, side by side and in slots."""

    beside: int
    slots: int


class Counts(NamedTuple):
    """One decoder."""

    checkpoint: str
    row: int
    """Bytes of one slot."""
    exchange: Copied
    """Some rows leave, and as many that were read take their places."""
    prefix: Copied
    """A prompt goes on from a kept prefix of half its length, and is read to its end."""
    step: Copied
    """The first step of rows that were read together."""


def counts(checkpoints: Sequence[str], *, rows: int, leaving: int, tokens: int) -> Iterator[Counts]:
    """Every decoder that is not like one before, in bfloat16."""
    seen: set[DecoderConfig] = set()
    with ExitStack() as stack:
        # Tensors without memory cannot be asked; here all rows of a state are alike.
        stack.enter_context(mock.patch.object(key_values, "extent", return_value=(0, True)))
        stack.enter_context(mock.patch.object(slots, "_same", _same))
        stack.enter_context(mock.patch.object(KeyValueSlots, "_told", _told))
        for name in checkpoints:
            spec = published(name)
            assert spec is not None
            shape = spec.model_copy(update={"vocabulary": 1, "padded_vocabulary": 1})
            if shape not in seen:
                seen.add(shape)
                yield _count(name, shape, rows, leaving, tokens)


def _told(self: KeyValueSlots, state: KeyValueState) -> tuple[list[int], list[int]]:
    del self
    return [state.longest] * len(state.length_B), [state.longest] * len(state.length_B)


def _same(one: Tensor, other: Tensor) -> bool:
    pairs = ((each.untyped_storage()._cdata, each.storage_offset()) for each in (one, other))
    return len(set(pairs)) == 1


def _count(name: str, spec: DecoderConfig, rows: int, leaving: int, tokens: int) -> Counts:
    with torch.device("meta"):
        decoder = Decoder(spec)
    allocate(decoder, "meta", torch.bfloat16)
    states = _States(decoder)
    storage = decoder.slots(rows + 1, tokens + ANSWER, ANSWER)
    storage.put(0, states.read(storage.begin(0, [decoder.init_state(rows)]), tokens))
    storage.put(rows, states.read(decoder.init_state(1), tokens // 2))
    # Those at the front leave, so that others have to move.
    order = [*range(rows - leaving, rows), *range(leaving, rows - leaving)]
    written, prefix = storage.rows(0, rows), storage.rows(rows, rows + 1)
    beside, kept = DecoderState.stack([written]), DecoderState.stack([prefix])

    def exchange_in_slots() -> None:
        storage.keep(written, order)
        fresh = storage.begin(len(order), [decoder.init_state(leaving)])
        storage.put(len(order), states.read(fresh, tokens))

    def exchange_beside() -> None:
        going_on = beside.select(torch.tensor(order, device="meta"))
        others = states.read(decoder.init_state(leaving), tokens)
        DecoderState.stack([going_on, others])

    def prefix_in_slots() -> None:
        storage.put(0, states.read(storage.begin(0, [prefix]), tokens - tokens // 2))

    def prefix_beside() -> None:
        states.read(DecoderState.stack([kept]), tokens - tokens // 2)

    # In this order: what takes slots ends the states of those who had them.
    exchange = Copied(_copied(exchange_beside), _copied(exchange_in_slots))
    group = states.read(decoder.init_state(leaving), tokens)
    first = Copied(
        _copied(lambda: states.read(group, 1)),
        _copied(lambda: states.read(storage.rows(0, leaving), 1)),
    )
    prefixes = Copied(_copied(prefix_beside), _copied(prefix_in_slots))
    return Counts(name, storage.rows(0, 1).bytes, exchange, prefixes, first)


class _States:
    """States as calls leave them behind: what is copied on the way, and nothing computed."""

    def __init__(self, decoder: Decoder) -> None:
        self.windows = [
            layer.window if isinstance(layer, Attention) else None
            for layer in decoder.config.layers
        ]

    def read(self, state: DecoderState, tokens: int) -> DecoderState:
        """After a call of so many tokens in every row."""
        layers = []
        for layer, window in zip(state.layers, self.windows, strict=True):
            if isinstance(layer, AttentionState):
                cache = layer.cache.drop_invisible(window).with_room(tokens)
                layer = AttentionState(cache.written(tokens, None), layer.tail)
            layers.append(layer)
        return DecoderState(tuple(layers))


def _copied(act: Callable[[], object]) -> int:
    """Bytes read and written; an empty state is made like a weight, of which it reads nothing."""
    with counted() as tally:
        act()
    return sum(moved for name, moved in tally.moved.items() if name != "new_zeros")


def table(found: Sequence[Counts]) -> str:
    """The counts as Markdown; of a checkpoint like one before, only the first is there."""
    lines = [
        "| checkpoint | a row | rows leave, others join | on from a prefix | the first step |",
        "|---|--:|--:|--:|--:|",
    ]
    for each in found:
        pairs = (
            f"{beside / GIGABYTE:.2f} → {inside / GIGABYTE:.2f}" for beside, inside in each[2:]
        )
        lines.append(f"| {each.checkpoint} | {each.row / GIGABYTE:.2f} | {' | '.join(pairs)} |")
    return "\n".join(lines) + "\n"
