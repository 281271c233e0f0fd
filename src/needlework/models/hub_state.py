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
