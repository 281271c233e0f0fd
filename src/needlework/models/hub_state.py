"""What is known of sequences that transformers reads: the library's cache, or their tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor


@dataclass(frozen=True)
class Row:
    """One sequence: its tokens where no cache is kept, else the library's cache."""

    tokens: tuple[int, ...]
    cache: Any


@dataclass(frozen=True)
class HubState:
    """Rows in order; a row is a value, because its cache is copied before it is continued."""

    rows: tuple[Row, ...]

    def fork(self, copies: int) -> Self:
        """Each row `copies` times, copies of a row next to each other."""
        return type(self)(tuple(row for row in self.rows for _ in range(copies)))

    def select(self, rows: Tensor) -> Self:
        """The rows with these indices, in this order."""
        return type(self)(tuple(self.rows[index] for index in rows.tolist()))

    def part(self, start: int, stop: int) -> Self:
        """The rows from `start` up to `stop`."""
        return type(self)(self.rows[start:stop])

    def after_prompt(self) -> Self:
        """The state from which answers start."""
        return self

    @classmethod
    def stack(cls, states: Sequence[Self]) -> Self:
        """The rows of all `states`, one after the other."""
        return cls(tuple(row for state in states for row in state.rows))

    @property
    def bytes(self) -> int:
        """Not known: the caches are the library's."""
        return 0


class HubSlots:
    """Rows of sequences that transformers reads; what its caches need, it takes by itself."""

    def __init__(self, rows: int) -> None:
        self._rows = [Row((), None)] * rows

    def begin(self, start: int, states: Sequence[HubState]) -> HubState:
        """See `DecoderSlots`."""
        del start
        return HubState.stack(states)

    def put(self, start: int, state: HubState) -> None:
        """See `DecoderSlots`."""
        self._rows[start : start + len(state.rows)] = state.rows

    def rows(self, start: int, stop: int) -> HubState:
        """See `DecoderSlots`."""
        return HubState(tuple(self._rows[start:stop]))

    def keep(self, state: HubState, order: Sequence[int]) -> None:
        """See `DecoderSlots`; the caches of all other rows are given back."""
        kept = [state.rows[old] for old in order]
        self._rows[: len(state.rows)] = [*kept, *[Row((), None)] * (len(state.rows) - len(kept))]

    def clear(self, slot: int) -> None:
        """See `DecoderSlots`."""
        self._rows[slot] = Row((), None)

    def wipe(self, start: int, stop: int) -> None:
        """See `DecoderSlots`; nothing, as no two rows share a cache."""

    def wipe_behind(self, slot: int) -> None:
        """See `DecoderSlots`; nothing, as what is read on has a cache of its own."""
