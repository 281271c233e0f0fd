"""What a mixer remembers of the tokens so far, as values: continuing a state never changes it.

Every tensor of a state has the batch as its first axis. Rows can be copied (`fork`), picked
(`select`) and put side by side (`stack`); nothing else is done to a state from outside.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields
from typing import Protocol, Self

import torch
from torch import Tensor

from needlework.models.sharing import once


@dataclass(frozen=True)
class RowState:
    """A state whose fields are tensors with one row per sequence."""

    def fork(self, copies: int) -> Self:
        """Each row `copies` times, copies of a row next to each other."""
        return type(self)(*(tensor.repeat_interleave(copies, dim=0) for tensor in self._tensors()))

    def select(self, rows: Tensor) -> Self:
        """The rows with these indices, in this order."""
        return type(self)(*(tensor.index_select(0, rows) for tensor in self._tensors()))

    def after_prompt(self) -> Self:
        """The state from which answers start; the same, but for one published defect."""
        return self

    @classmethod
    def stack(cls, states: Sequence[Self]) -> Self:
        """The rows of all `states`, one after the other."""
        columns = zip(*(state._tensors() for state in states), strict=True)
        return cls(*(torch.cat(column, dim=0) for column in columns))

    @property
    def bytes(self) -> int:
        """Memory of the rows, in bytes."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self._tensors())

    def _tensors(self) -> tuple[Tensor, ...]:
        return tuple(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True)
class EmptyState(RowState):
    """The state of a mixer that looks at one token at a time."""


@dataclass(frozen=True)
class TokenShiftState(RowState):
    """The last valid input of a mixer that mixes each token with the one before."""

    last_BD: Tensor


class KeyValueBuffer:
    """Storage that several states may look into; only the newest of them may extend it in place."""

    def __init__(self, keys_BHSP: Tensor, values_BHSP: Tensor) -> None:
        self.keys_BHSP = keys_BHSP
        self.values_BHSP = values_BHSP
        self.newest = 0

    @property
    def capacity(self) -> int:
        """Keys a row has room for."""
        return self.keys_BHSP.shape[2]


@dataclass(frozen=True)
class KeyValueState:
    """Keys and values of the tokens so far; row b uses the first `length_B[b]` columns.

    Appending writes behind the columns in use, so older states stay valid. When another state has
    already written there, or room runs out, the buffer is copied first: states behave as values
    while decoding token by token copies nothing.
    """

    buffer: KeyValueBuffer
    version: int
    length_B: Tensor
    """Columns in use, per row."""
    position_B: Tensor
    """Tokens read, per row; more than the columns where a window has dropped old keys."""
    longest: int
    """max(length_B), known without asking the device."""
    uniform: bool
    """Whether every row uses the same number of columns and has read the same number of tokens.

    Behind a window the one does not imply the other: rows drop old keys at different times.
    """

    @classmethod
    def empty(cls, batch: int, heads: int, width: int, like: Tensor) -> Self:
        """No keys yet; `like` gives dtype and device."""
        nothing = like.new_zeros(batch, heads, 0, width)
        zero_B = torch.zeros(batch, dtype=torch.long, device=like.device)
        return cls(KeyValueBuffer(nothing, nothing.clone()), 0, zero_B, zero_B, 0, True)

    @property
    def keys_BHSP(self) -> Tensor:
        """Keys, columns up to the longest row."""
        return self.buffer.keys_BHSP[:, :, : self.longest]

    @property
    def values_BHSP(self) -> Tensor:
        """Values, columns up to the longest row."""
        return self.buffer.values_BHSP[:, :, : self.longest]

    @property
    def bytes(self) -> int:
        """Memory of the buffer, in bytes, room to grow included."""
        keys = self.buffer.keys_BHSP
        return 2 * keys.numel() * keys.element_size()

    def append(
        self,
        keys_BHTP: Tensor,
        values_BHTP: Tensor,
        lengths_B: Tensor | None,
        *,
        alike: Hashable = None,
    ) -> Self:
        """The state after T more columns per row, of which row b keeps the first `lengths_B[b]`."""
        new = keys_BHTP.shape[2]
        buffer = self.room_for(new)
        if self.uniform:
            columns = slice(self.longest, self.longest + new)
            buffer.keys_BHSP[:, :, columns] = keys_BHTP
            buffer.values_BHSP[:, :, columns] = values_BHTP
        else:
            column_BT = self.length_B[:, None] + torch.arange(new, device=keys_BHTP.device)
            index = column_BT[:, None, :, None].expand_as(keys_BHTP)
            buffer.keys_BHSP.scatter_(2, index, keys_BHTP)
            buffer.values_BHSP.scatter_(2, index, values_BHTP)
        return self.written(buffer, new, lengths_B, alike=alike)

    def written(
        self,
        buffer: KeyValueBuffer,
        new: int,
        lengths_B: Tensor | None,
        *,
        alike: Hashable = None,
    ) -> Self:
        """The state after `new` columns were written into a buffer that has room for them.

        Layers that give the same `alike` have the same columns in use, counted once in a call;
        without it they are this layer's own.
        """
        buffer.newest += 1

        def advanced() -> tuple[Tensor, Tensor, int, bool]:
            if lengths_B is None:
                ends = self.length_B + new, self.position_B + new
                return *ends, self.longest + new, self.uniform
            length_B, position_B = self.length_B + lengths_B, self.position_B + lengths_B
            return length_B, position_B, *extent(length_B, position_B)

        ends = advanced() if alike is None else once(("columns", alike, lengths_B), advanced)
        return type(self)(buffer, buffer.newest, *ends)

    def fork(self, copies: int) -> Self:
        """Each row `copies` times, copies of a row next to each other."""
        rows = torch.arange(len(self.length_B), device=self.length_B.device)
        return self.select(rows.repeat_interleave(copies))

    def select(self, rows: Tensor) -> Self:
        """The rows with these indices, in this order."""
        length_B = self.length_B.index_select(0, rows)
        position_B = self.position_B.index_select(0, rows)
        longest, uniform = self.longest, True
        if not self.uniform:
            longest, uniform = extent(length_B, position_B)
        buffer = KeyValueBuffer(
            self.buffer.keys_BHSP[:, :, :longest].index_select(0, rows),
            self.buffer.values_BHSP[:, :, :longest].index_select(0, rows),
        )
        return type(self)(buffer, 0, length_B, position_B, longest, uniform)

    @classmethod
    def stack(cls, states: Sequence[Self]) -> Self:
        """The rows of all `states`, one after the other, padded to the longest, with room to grow.

        Whoever stacks goes on reading, and would copy everything again at the first new column.
        """
        longest = max(state.longest for state in states)
        rows = sum(len(state.length_B) for state in states)
        _, heads, _, width = states[0].buffer.keys_BHSP.shape
        room = _with_room_to_grow(longest)
        keys_BHSP = states[0].buffer.keys_BHSP.new_empty(rows, heads, room, width)
        values_BHSP = torch.empty_like(keys_BHSP)
        start = 0
        for state in states:
            span = slice(start, start + len(state.length_B))
            _fill(keys_BHSP[span], state.keys_BHSP)
            _fill(values_BHSP[span], state.values_BHSP)
            start = span.stop
        length_B = torch.cat([state.length_B for state in states])
        position_B = torch.cat([state.position_B for state in states])
        _, uniform = extent(length_B, position_B)
        buffer = KeyValueBuffer(keys_BHSP, values_BHSP)
        return cls(buffer, 0, length_B, position_B, longest, uniform)

    def room_for(self, new: int) -> KeyValueBuffer:
        """A buffer with room for `new` columns that no other state has written to."""
        buffer, needed = self.buffer, self.longest + new
        if buffer.newest == self.version and buffer.capacity >= needed:
            return buffer
        room = max(needed, _with_room_to_grow(self.longest))
        batch, heads, _, width = buffer.keys_BHSP.shape
        keys_BHSP = buffer.keys_BHSP.new_empty(batch, heads, room, width)
        values_BHSP = torch.empty_like(keys_BHSP)
        _fill(keys_BHSP, self.keys_BHSP)
        _fill(values_BHSP, self.values_BHSP)
        return KeyValueBuffer(keys_BHSP, values_BHSP)

    def drop_invisible(self, window: int | None) -> Self:
        """Forget columns no future query can see, once they outnumber the visible ones."""
        if window is None or self.longest < 2 * window:
            return self
        excess = (self.longest if self.uniform else int(self.length_B.min())) - window
        if excess < window:
            return self
        buffer = KeyValueBuffer(
            self.keys_BHSP[:, :, excess:].clone(), self.values_BHSP[:, :, excess:].clone()
        )
        return type(self)(
            buffer, 0, self.length_B - excess, self.position_B, self.longest - excess, self.uniform
        )


def _with_room_to_grow(columns: int) -> int:
    """Columns to make room for where so many are in use; a first prompt is taken as it comes."""
    return columns + max(64, columns // 4) if columns else 0


def _fill(room_BHSP: Tensor, columns_BHSP: Tensor) -> None:
    """Copy columns to the front; the rest becomes zero, as a masked NaN would still be one."""
    used = columns_BHSP.shape[2]
    room_BHSP[:, :, :used] = columns_BHSP
    room_BHSP[:, :, used:] = 0


def extent(length_B: Tensor, position_B: Tensor) -> tuple[int, bool]:
    """The longest row, and whether all rows are as long and have read as much."""
    if length_B.numel() == 0:
        return 0, True
    uniform = (length_B == length_B[0]).all() & (position_B == position_B[0]).all()
    return int(length_B.max()), bool(uniform)


class LayerState(Protocol):
    """What can be done to the state of any layer."""

    @property
    def bytes(self) -> int:
        """Memory, in bytes."""

    def fork(self, copies: int) -> Self:
        """Each row `copies` times."""

    def select(self, rows: Tensor) -> Self:
        """Some of the rows."""

    def after_prompt(self) -> Self:
        """The state from which answers start."""

    @classmethod
    def stack(cls, states: Sequence[Self]) -> Self:
        """The rows of all states."""


@dataclass(frozen=True)
class DecoderState:
    """One state per layer."""

    layers: tuple[LayerState, ...]

    def fork(self, copies: int) -> Self:
        """Each row `copies` times, copies of a row next to each other."""
        return type(self)(tuple(state.fork(copies) for state in self.layers))

    def select(self, rows: Tensor) -> Self:
        """The rows with these indices, in this order."""
        return type(self)(tuple(state.select(rows) for state in self.layers))

    def after_prompt(self) -> Self:
        """The state from which answers start; the same, but for one published defect."""
        return type(self)(tuple(state.after_prompt() for state in self.layers))

    @classmethod
    def stack(cls, states: Sequence[Self]) -> Self:
        """The rows of all `states`, one after the other."""
        columns = zip(*(state.layers for state in states), strict=True)
        return cls(tuple(type(column[0]).stack(column) for column in columns))

    @property
    def bytes(self) -> int:
        """Memory of all layers, in bytes."""
        return sum(state.bytes for state in self.layers)
