"""What a mixer remembers of the tokens so far, as values: continuing a state never changes it.

Every tensor of a state has the batch as its first axis. Rows can be copied (`fork`), picked
(`select`), looked at (`part`) and put side by side (`stack`); nothing else is done to a state from
outside.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol, Self

import torch
from torch import Tensor

from needlework.models.sharing import one_call


@dataclass(frozen=True)
class RowState:
    """A state whose fields are tensors with one row per sequence."""

    def fork(self, copies: int) -> Self:
        """Each row `copies` times, copies of a row next to each other."""
        return type(self)(*(tensor.repeat_interleave(copies, dim=0) for tensor in self.tensors))

    def select(self, rows: Tensor) -> Self:
        """The rows with these indices, in this order."""
        return type(self)(*(tensor.index_select(0, rows) for tensor in self.tensors))

    def part(self, start: int, stop: int) -> Self:
        """The rows from `start` up to `stop`, not copied."""
        return type(self)(*(tensor[start:stop] for tensor in self.tensors))

    def after_prompt(self) -> Self:
        """The state from which answers start; the same, but for one published defect."""
        return self

    @classmethod
    def stack(cls, states: Sequence[Self]) -> Self:
        """The rows of all `states`, one after the other."""
        columns = zip(*(state.tensors for state in states), strict=True)
        return cls(*(torch.cat(column, dim=0) for column in columns))

    @property
    def bytes(self) -> int:
        """Memory of the rows, in bytes."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Everything that is remembered."""
        return tuple(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True)
class EmptyState(RowState):
    """The state of a mixer that looks at one token at a time."""


@dataclass(frozen=True)
class TokenShiftState(RowState):
    """The last valid input of a mixer that mixes each token with the one before."""

    last_BD: Tensor


class LayerState(Protocol):
    """What can be done to the state of any layer."""

    @property
    def bytes(self) -> int:
        """Memory, in bytes."""

    def fork(self, copies: int) -> Self:
        """Each row `copies` times."""

    def select(self, rows: Tensor) -> Self:
        """Some of the rows."""

    def part(self, start: int, stop: int) -> Self:
        """Some that follow each other, not copied."""

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

    def part(self, start: int, stop: int) -> Self:
        """The rows from `start` up to `stop`, not copied."""
        with one_call():
            return type(self)(tuple(state.part(start, stop) for state in self.layers))

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
