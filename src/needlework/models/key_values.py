"""Keys and values that attention remembers, in buffers which several states may look into."""

# Shapes: B batch, H key/value heads, T new tokens, S cached columns, P channels per head.
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from needlework.models.sharing import once


class KeyValueBuffer:
    """Storage that several states may look into, each into some rows of it.

    Only the newest state of a row may extend it in place.
    """

    def __init__(self, keys_BHSP: Tensor, values_BHSP: Tensor, *, reserved: bool = False) -> None:
        self.keys_BHSP = keys_BHSP
        self.values_BHSP = values_BHSP
        self.reserved = reserved
        """Whether it has room for all that its rows will hold, so that nothing need be dropped."""
        self.writes = 0
        rows = len(keys_BHSP)
        self.newest = [0] * rows
        """The last write into each row."""
        self.given = [0] * rows
        """The write since which each row belongs to the sequence it has now."""

    @property
    def capacity(self) -> int:
        """Keys a row has room for."""
        return self.keys_BHSP.shape[2]

    def write(self, rows: slice) -> int:
        """The number of one more write into these rows."""
        self.writes += 1
        self.newest[rows] = [self.writes] * (rows.stop - rows.start)
        return self.writes

    def give(self, rows: slice) -> None:
        """Let these rows belong to other sequences: states that looked into them are no more."""
        self.given[rows] = [self.write(rows)] * (rows.stop - rows.start)


@dataclass(frozen=True)
class Prefix:
    """Keys and values of tokens that all rows of some states have read first, in memory once."""

    keys_1HSP: Tensor
    values_1HSP: Tensor

    @property
    def length(self) -> int:
        """Tokens that were read."""
        return self.keys_1HSP.shape[2]


@dataclass(frozen=True)
class KeyValueState:
    """Keys and values of the tokens so far; row b uses the first `length_B[b]` columns.

    Behind a prefix, these are the columns of what each row has read since.

    Appending writes behind the columns in use, so older states stay valid. When another state has
    already written there, or room runs out, the rows are copied first: states behave as values
    while decoding token by token copies nothing.
    """

    buffer: KeyValueBuffer
    version: int
    """The last write into the buffer that this state knows of."""
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
    first: int = 0
    """The row of the buffer that is this state's first; the others follow."""
    prefix: Prefix | None = None
    """What stands before every row's own columns."""

    @classmethod
    def empty(cls, batch: int, heads: int, width: int, like: Tensor) -> Self:
        """No keys yet; `like` gives dtype and device."""
        nothing = like.new_zeros(batch, heads, 0, width)
        zero_B = torch.zeros(batch, dtype=torch.long, device=like.device)
        return cls(KeyValueBuffer(nothing, nothing.clone()), 0, zero_B, zero_B, 0, True)

    @property
    def rows(self) -> slice:
        """Where its rows lie in the buffer."""
        return slice(self.first, self.first + len(self.length_B))

    @property
    def begun(self) -> int:
        """Tokens before every row's own columns."""
        return 0 if self.prefix is None else self.prefix.length

    def columns(self, count: int) -> tuple[Tensor, Tensor]:
        """Keys and values of its rows: the first `count` columns, used or not, not copied."""
        rows, buffer = self.rows, self.buffer
        known = max(buffer.given[rows], default=0) <= self.version
        assert known, "these rows were given to another sequence; their state is no more"
        return buffer.keys_BHSP[rows, :, :count], buffer.values_BHSP[rows, :, :count]

    @property
    def keys_BHSP(self) -> Tensor:
        """Keys, columns up to the longest row."""
        return self.columns(self.longest)[0]

    @property
    def values_BHSP(self) -> Tensor:
        """Values, columns up to the longest row."""
        return self.columns(self.longest)[1]

    def beyond(self, new: int) -> int:
        """Columns that are written in some row when `new` are appended."""
        return self.longest + new

    @property
    def bytes(self) -> int:
        """Memory of its rows of the buffer, in bytes, room to grow included."""
        keys, _ = self.columns(self.buffer.capacity)
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
        roomy = self.with_room(new)
        keys_BHSP, values_BHSP = roomy.columns(self.beyond(new))
        if self.uniform:
            keys_BHSP[:, :, self.longest :] = keys_BHTP
            values_BHSP[:, :, self.longest :] = values_BHTP
        else:
            column_BT = self.length_B[:, None] + torch.arange(new, device=keys_BHTP.device)
            index = column_BT[:, None, :, None].expand_as(keys_BHTP)
            keys_BHSP.scatter_(2, index, keys_BHTP)
            values_BHSP.scatter_(2, index, values_BHTP)
        return roomy.written(new, lengths_B, alike=alike)

    def written(self, new: int, lengths_B: Tensor | None, *, alike: Hashable = None) -> Self:
        """The state after `new` columns were written into the room that there was.

        Layers that give the same `alike` have the same columns in use, counted once in a call;
        without it they are this layer's own.
        """
        version = self.buffer.write(self.rows)

        def advanced() -> tuple[Tensor, Tensor, int, bool]:
            if lengths_B is None:
                ends = self.length_B + new, self.position_B + new
                return *ends, self.beyond(new), self.uniform
            length_B, position_B = self.length_B + lengths_B, self.position_B + lengths_B
            return length_B, position_B, *extent(length_B, position_B)

        ends = advanced() if alike is None else once(("columns", alike, lengths_B), advanced)
        return type(self)(self.buffer, version, *ends, self.first, self.prefix)

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
        buffer = KeyValueBuffer(*(each.index_select(0, rows) for each in self.columns(longest)))
        return type(self)(buffer, 0, length_B, position_B, longest, uniform, 0, self.prefix)

    def part(self, start: int, stop: int) -> Self:
        """The rows from `start` up to `stop`, not copied."""

        def told() -> tuple[Tensor, Tensor, int, bool]:
            length_B, position_B = self.length_B[start:stop], self.position_B[start:stop]
            if self.uniform:
                return length_B, position_B, self.longest, True
            return length_B, position_B, *extent(length_B, position_B)

        ends = once(("part", self.length_B, self.position_B, start, stop), told)
        return type(self)(self.buffer, self.version, *ends, self.first + start, self.prefix)

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
        (prefix,) = {id(state.prefix): state.prefix for state in states}.values()
        buffer = KeyValueBuffer(keys_BHSP, values_BHSP)
        return cls(buffer, 0, length_B, position_B, longest, uniform, 0, prefix)

    def with_room(self, new: int) -> Self:
        """The same with room for `new` columns that no other state has written to."""
        buffer, needed = self.buffer, self.longest + new
        if buffer.capacity >= needed and max(buffer.newest[self.rows], default=0) <= self.version:
            return self
        room = max(needed, _with_room_to_grow(self.longest))
        _, heads, _, width = buffer.keys_BHSP.shape
        keys_BHSP = buffer.keys_BHSP.new_empty(len(self.length_B), heads, room, width)
        values_BHSP = torch.empty_like(keys_BHSP)
        _fill(keys_BHSP, self.keys_BHSP)
        _fill(values_BHSP, self.values_BHSP)
        own = KeyValueBuffer(keys_BHSP, values_BHSP)
        ends = self.length_B, self.position_B, self.longest, self.uniform
        return type(self)(own, 0, *ends, 0, self.prefix)

    def as_prefix(self) -> Self:
        """One row that goes on from this one, and leaves its keys and values where they are."""
        assert len(self.length_B) == 1, "only a single row is the prefix of others"
        assert self.prefix is None, "a prefix is whole"
        keys_1HSP, values_1HSP = self.columns(self.longest)
        prefix = Prefix(keys_1HSP, values_1HSP)
        nothing = KeyValueBuffer(keys_1HSP[:, :, :0], values_1HSP[:, :, :0])
        zero_B = torch.zeros_like(self.length_B)
        return type(self)(nothing, 0, zero_B, self.position_B, 0, True, 0, prefix)

    def joined(self, count: int) -> Self:
        """The same without a prefix: a copy of it before the first `count` columns of each row."""
        assert self.prefix is not None
        keys_BHSP, values_BHSP = self.columns(count)
        rows, begun = len(self.length_B), self.begun
        buffer = KeyValueBuffer(
            torch.cat([self.prefix.keys_1HSP.expand(rows, -1, -1, -1), keys_BHSP], dim=2),
            torch.cat([self.prefix.values_1HSP.expand(rows, -1, -1, -1), values_BHSP], dim=2),
        )
        ends = self.length_B + begun, self.position_B, self.longest + begun, self.uniform
        return type(self)(buffer, 0, *ends)

    def drop_invisible(self, window: int | None) -> Self:
        """Forget columns no future query can see, once they outnumber the visible ones."""
        if window is None or self.longest < 2 * window or self.buffer.reserved:
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


@dataclass(frozen=True)
class FixedKeyValueState(KeyValueState):
    """Whatever its rows hold when a step is taken that was recorded before.

    How much of each row is in use is known on the device alone; `longest`, which is looked at in
    every row, has room for what is appended. Nobody else may write into these rows meanwhile.
    """

    def beyond(self, new: int) -> int:
        """The same columns."""
        del new
        return self.longest

    def columns(self, count: int) -> tuple[Tensor, Tensor]:
        """Keys and values of its rows, whichever sequences these were given to."""
        rows, buffer = self.rows, self.buffer
        return buffer.keys_BHSP[rows, :, :count], buffer.values_BHSP[rows, :, :count]

    def with_room(self, new: int) -> Self:
        """The same, which has it."""
        del new
        return self


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
