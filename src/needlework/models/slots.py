"""Rows of states in storage made once: read into where they are answered, given on when finished.

Whoever looks at rows gets states, which are values as ever until the rows are given to another
sequence. What grows, keys and values, lies here from the first token on; what does not is computed
anew in every call, and comes here when a sequence has been read or others join.
"""

# Shapes: N slots, B rows of a state, H key/value heads, S columns, P channels per head.
from collections.abc import Hashable, Mapping, Sequence
from itertools import groupby
from typing import Generic, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from needlework.models.key_values import FixedKeyValueState, KeyValueBuffer, KeyValueState, Prefix
from needlework.models.sharing import once, one_call
from needlework.models.state import DecoderState, LayerState, RowState

Rows = TypeVar("Rows", bound=RowState)
State = TypeVar("State", bound=LayerState)


class Counts(NamedTuple):
    """Keys in use in every row, and tokens read, which are more where a window has dropped keys."""

    columns: list[int]
    positions: list[int]


Ends = Mapping[Hashable, tuple[Tensor, Tensor]]
"""The same on the device, by what layers have in common whose rows hold as much."""


class LayerSlots(Protocol[State]):
    """Storage of one layer for so many rows."""

    def begin(self, start: int, states: Sequence[State]) -> State:
        """The rows of these states, from slot `start` on, to be read on from."""

    def put(self, start: int, state: State) -> None:
        """Let the slots from `start` on hold these rows; what lies there already stays."""

    def rows(self, start: int, stop: int) -> State:
        """What these slots hold."""

    def keep(self, state: State, order: Sequence[int]) -> None:
        """Let slot i hold row `order[i]` of a state whose rows lie in the first slots.

        A row stays where it is, or comes from behind the rows that are kept.
        """

    def clear(self, slot: int) -> None:
        """Let a slot hold nothing; what has gone on from it is not touched."""

    def wipe(self, start: int, stop: int) -> None:
        """Leave nothing in these slots that is no number: masked, it would reach who comes next."""

    def wipe_behind(self, slot: int) -> None:
        """The same for what was read on behind a slot's sequence, which stays."""

    def counts(self, rows: int) -> Mapping[Hashable, Counts]:
        """What the first slots hold of anything that grows, by what layers have in common."""

    def fixed(self, rows: int, columns: int, ends: Ends) -> State:
        """What the first slots hold whenever a step is taken that was recorded before.

        Of each, `columns` are looked at, those included that the step writes.
        """

    def advance(self, rows: int, written: Sequence[int], tokens: int) -> None:
        """Take note of steps into the first slots, of which these have read so many tokens more."""


class RowSlots(Generic[Rows]):
    """States that do not grow."""

    def __init__(self, nothing: Rows) -> None:
        # Fields of a state before any token may be one tensor; here each has memory of its own.
        self.storage = type(nothing)(*(tensor.clone() for tensor in nothing.tensors))

    def begin(self, start: int, states: Sequence[Rows]) -> Rows:
        """See `LayerSlots`."""
        del start
        return states[0] if len(states) == 1 else type(states[0]).stack(states)

    def put(self, start: int, state: Rows) -> None:
        """See `LayerSlots`."""
        for ours, theirs in zip(self.storage.tensors, state.tensors, strict=True):
            own = ours[start : start + len(theirs)]
            if not _same(theirs, own):
                own.copy_(theirs)

    def rows(self, start: int, stop: int) -> Rows:
        """See `LayerSlots`."""
        return self.storage.part(start, stop)

    def keep(self, state: Rows, order: Sequence[int]) -> None:
        """See `LayerSlots`; rows that a kernel has overwritten in place are here already."""
        moved = _moved(order)
        for ours, theirs in zip(self.storage.tensors, state.tensors, strict=True):
            if _same(theirs, ours[: len(theirs)]):
                for row, old in moved:
                    ours[row] = ours[old]
            elif moved:
                index = torch.tensor(order, device=theirs.device)
                torch.index_select(theirs, 0, index, out=ours[: len(order)])
            else:
                ours[: len(order)] = theirs[: len(order)]

    def clear(self, slot: int) -> None:
        """See `LayerSlots`; nothing, as there is nothing to give back."""

    def wipe(self, start: int, stop: int) -> None:
        """See `LayerSlots`; nothing, as whoever comes next overwrites everything."""

    def wipe_behind(self, slot: int) -> None:
        """See `LayerSlots`; nothing, as what is read on lies elsewhere."""

    def counts(self, rows: int) -> Mapping[Hashable, Counts]:
        """See `LayerSlots`; nothing."""
        del rows
        return {}

    def fixed(self, rows: int, columns: int, ends: Ends) -> Rows:
        """See `LayerSlots`; the memory of the slots."""
        del columns, ends
        return self.rows(0, rows)

    def advance(self, rows: int, written: Sequence[int], tokens: int) -> None:
        """See `LayerSlots`; nothing, as all that is known of a row lies in its slot."""


class KeyValueSlots:
    """Keys and values, each row in a slot of so many columns.

    Behind a window a prompt has columns in a call that no query sees after it. Such rows are read
    elsewhere, and of each only what its window holds comes here.
    """

    def __init__(
        self, empty: KeyValueState, rows: int, columns: int, *, window: int | None, alike: Hashable
    ) -> None:
        like = empty.buffer.keys_BHSP
        shape = (rows, like.shape[1], columns, like.shape[3])
        # Zeros: a masked NaN would still be one.
        self.buffer = KeyValueBuffer(like.new_zeros(shape), like.new_zeros(shape), reserved=True)
        self.window = window
        self.alike = alike
        """What layers have in common whose rows hold as many columns."""
        self.prefix: Prefix | None = None
        """What stands before the columns of every slot: all begin from states with the same."""
        self.lengths = [0] * rows
        self.positions = [0] * rows

    def begin(self, start: int, states: Sequence[KeyValueState]) -> KeyValueState:
        """See `LayerSlots`."""
        if self.window is not None:
            return KeyValueState.stack(states)
        stop = start
        # Rows that go on from one prefix are often neighbours: one copy fills all of them.
        for _, same in groupby(states, key=id):
            copies = list(same)
            stop = self._fill(stop, copies[0], len(copies))
        return self.rows(start, stop)

    def put(self, start: int, state: KeyValueState) -> None:
        """See `LayerSlots`; how much a step has written that was recorded, `advance` is told."""
        if isinstance(state, FixedKeyValueState):
            assert state.buffer is self.buffer, "a recorded step writes where it was recorded"
        elif state.buffer is not self.buffer or state.first != start:
            self._fill(start, state, 1)
        else:
            here = slice(start, start + len(state.length_B))
            self.lengths[here], self.positions[here] = self._told(state)

    def rows(self, start: int, stop: int) -> KeyValueState:
        """See `LayerSlots`."""
        lengths, positions = self.lengths[start:stop], self.positions[start:stop]
        uniform = len(set(zip(lengths, positions, strict=True))) <= 1

        def told() -> tuple[Tensor, Tensor]:
            device = self.buffer.keys_BHSP.device
            both = torch.tensor([lengths, positions], device=device)
            return both[0], both[1]

        ends = once(("slots", self.alike, start, stop), told)
        longest = max(lengths, default=0)
        known = self.buffer.writes
        return KeyValueState(self.buffer, known, *ends, longest, uniform, start, self.prefix)

    def keep(self, state: KeyValueState, order: Sequence[int]) -> None:
        """See `LayerSlots`."""
        lengths, positions = self._told(state)
        source = state.columns(state.longest)
        assert state.buffer is self.buffer, "rows of answers never outgrow their slots"
        self.lengths[: len(order)] = [lengths[old] for old in order]
        for row, old in _moved(order):
            here, there = slice(row, row + 1), slice(old, old + 1)
            self.buffer.give(here)
            columns = tuple(each[there] for each in source)
            self.lengths[here] = self._copy(row, columns, lengths[there])
        self.positions[: len(order)] = [positions[old] for old in order]

    def clear(self, slot: int) -> None:
        """See `LayerSlots`."""
        self.buffer.give(slice(slot, slot + 1))
        self.lengths[slot] = self.positions[slot] = 0

    def wipe(self, start: int, stop: int) -> None:
        """See `LayerSlots`."""
        self.buffer.keys_BHSP[start:stop] = 0
        self.buffer.values_BHSP[start:stop] = 0

    def wipe_behind(self, slot: int) -> None:
        """See `LayerSlots`."""
        self.buffer.keys_BHSP[slot, :, self.lengths[slot] :] = 0
        self.buffer.values_BHSP[slot, :, self.lengths[slot] :] = 0

    def counts(self, rows: int) -> Mapping[Hashable, Counts]:
        """See `LayerSlots`."""
        return {self.alike: Counts(self.lengths[:rows], self.positions[:rows])}

    def fixed(self, rows: int, columns: int, ends: Ends) -> KeyValueState:
        """See `LayerSlots`."""
        length_B, position_B = ends[self.alike]
        assert len(length_B) == rows
        told = length_B, position_B, min(columns, self.buffer.capacity), False
        return FixedKeyValueState(self.buffer, 0, *told, 0, self.prefix)

    def advance(self, rows: int, written: Sequence[int], tokens: int) -> None:
        """See `LayerSlots`."""
        self.buffer.write(slice(0, rows))
        for row in written:
            self.lengths[row] += tokens
            self.positions[row] += tokens

    def _fill(self, start: int, state: KeyValueState, copies: int) -> int:
        """Let slots from `start` on hold each row so many times; the first slot behind them."""
        assert copies == 1 or len(state.length_B) == 1, "only single rows are copied"
        assert self.prefix is None or self.prefix is state.prefix, "slots stand beside one prefix"
        self.prefix = state.prefix
        source = state.columns(state.longest)
        lengths, positions = (copies * each for each in self._told(state))
        if copies > 1:
            source = source[0].expand(copies, -1, -1, -1), source[1].expand(copies, -1, -1, -1)
        here = slice(start, start + len(lengths))
        self.buffer.give(here)
        self.lengths[here] = self._copy(start, source, lengths)
        self.positions[here] = positions
        return here.stop

    def _told(self, state: KeyValueState) -> tuple[list[int], list[int]]:
        """Columns in use and tokens read, per row; only what is unequal has to be asked for."""
        if state.uniform and (self.window is None or not state.longest):
            read, rows = state.begun + state.longest, len(state.length_B)
            return [state.longest] * rows, [read] * rows
        return asked(state.length_B), asked(state.position_B)

    def _copy(self, start: int, source: tuple[Tensor, ...], lengths: Sequence[int]) -> list[int]:
        """Copy of each row the columns in use that its window sees; how many those are."""
        kept = [length if self.window is None else min(length, self.window) for length in lengths]
        targets = self.buffer.keys_BHSP, self.buffer.values_BHSP
        alike = len(set(lengths)) == 1
        rows = [slice(0, len(lengths))] if alike else [slice(i, i + 1) for i in range(len(lengths))]
        for each in rows:
            last, count = lengths[each.start], kept[each.start]
            assert count <= self.buffer.capacity, "a slot has room for a prompt and its answer"
            there = slice(start + each.start, start + each.stop)
            for target, columns in zip(targets, source, strict=True):
                target[there, :, :count] = columns[each, :, last - count : last]
        return kept


class DecoderSlots:
    """Slots of all layers."""

    def __init__(self, layers: Sequence[LayerSlots[LayerState]]) -> None:
        self.layers = layers

    def begin(self, start: int, states: Sequence[DecoderState]) -> DecoderState:
        """The rows of these states, from slot `start` on, to be read on from."""
        with one_call():
            columns = zip(*(state.layers for state in states), strict=True)
            pairs = zip(self.layers, columns, strict=True)
            return DecoderState(tuple(slots.begin(start, column) for slots, column in pairs))

    def put(self, start: int, state: DecoderState) -> None:
        """Let the slots from `start` on hold these rows; what lies there already stays."""
        with one_call():
            for slots, each in zip(self.layers, state.layers, strict=True):
                slots.put(start, each)

    def rows(self, start: int, stop: int) -> DecoderState:
        """What these slots hold."""
        with one_call():
            return DecoderState(tuple(slots.rows(start, stop) for slots in self.layers))

    def keep(self, state: DecoderState, order: Sequence[int]) -> None:
        """See `LayerSlots`: let slot i hold row `order[i]` of a state of the first slots."""
        with one_call():
            for slots, each in zip(self.layers, state.layers, strict=True):
                slots.keep(each, order)

    def clear(self, slot: int) -> None:
        """Let a slot hold nothing; what has gone on from it is not touched."""
        for slots in self.layers:
            slots.clear(slot)

    def wipe(self, start: int, stop: int) -> None:
        """Leave nothing in these slots that is no number: masked, it would reach who comes next."""
        for slots in self.layers:
            slots.wipe(start, stop)

    def wipe_behind(self, slot: int) -> None:
        """The same for what was read on behind a slot's sequence, which stays."""
        for slots in self.layers:
            slots.wipe_behind(slot)

    def counts(self, rows: int) -> Mapping[Hashable, Counts]:
        """What the first slots hold of anything that grows, by what layers have in common."""
        return {kind: each for slots in self.layers for kind, each in slots.counts(rows).items()}

    def fixed(self, rows: int, columns: int, ends: Ends) -> DecoderState:
        """See `LayerSlots`; what comes of it is `put` back, and `advance` is told how far."""
        return DecoderState(tuple(slots.fixed(rows, columns, ends) for slots in self.layers))

    def advance(self, rows: int, written: Sequence[int], tokens: int) -> None:
        """Take note of steps into the first slots, of which these have read so many tokens more."""
        for slots in self.layers:
            slots.advance(rows, written, tokens)


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are the same memory."""
    return one.is_set_to(other)


def _moved(order: Sequence[int]) -> list[tuple[int, int]]:
    """The rows that change their place, with where they were."""
    return [(row, old) for row, old in enumerate(order) if row != old]


def asked(numbers_B: Tensor) -> list[int]:
    """The numbers of a tensor; layers that share it ask the device once."""
    found: list[int] = once(("asked", numbers_B), numbers_B.tolist)
    return list(found)
