"""What every layer of a decoder can do; history is an argument and a result."""

# Shapes: B batch, T tokens, D width.
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from typing import ClassVar, Generic, NamedTuple, TypeVar, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from needlework.models.padding import last_token
from needlework.models.slots import LayerSlots, RowSlots
from needlework.models.state import LayerState, RowState

State = TypeVar("State", bound=LayerState)


class Mixer(nn.Module, ABC, Generic[State]):
    """Mixes tokens with those before them, of which it knows no more than its state."""

    wide: ClassVar[Collection[str]] = ()
    """Own parameters kept in float32 at least: in half precision a decay of 0.999 rounds to 1."""

    @property
    def output(self) -> nn.Linear:
        """The projection that writes into the residual stream; `project_out` unless overridden."""
        return cast(nn.Linear, self.get_submodule("project_out"))

    @abstractmethod
    def init_state(self, batch: int) -> State:
        """The state before any token."""

    def slots(self, rows: int, columns: int, answer: int, begun: int = 0) -> LayerSlots[State]:
        """Storage for so many rows of `columns` tokens, of which `answer` are written one by one.

        They go on from `begun` tokens. Only what grows with the tokens needs to know of them.
        """
        del columns, answer, begun
        return cast(LayerSlots[State], RowSlots(cast(RowState, self.init_state(rows))))

    def resumed(self, state: State) -> State:
        """The same state, behind which whatever has gone on from it is given up."""
        return state

    def as_prefix(self, state: State) -> State:
        """A row that goes on from this one, which stays where it is while others begin with it.

        Only what grows with the tokens would be more to copy than to look at.
        """
        return state

    @abstractmethod
    def forward(
        self, x_BTD: Tensor, state: State, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Mix T new tokens of which row b has `lengths_B[b]` valid ones (all when None)."""

    def read(
        self, x_BTD: Tensor, state: State, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """The same state, but only what the last valid token of every row gives: (B, 1, D).

        A mixer that can leave work out for the other tokens has a `read` of its own.
        """
        y_BTD, state = self.forward(x_BTD, state, lengths_B)
        return last_token(y_BTD, lengths_B), state

    def initialise(self, generator: torch.Generator) -> None:
        """Draw what is neither a matrix nor a convolution, in the range that its paper starts from.

        Called without gradients, after matrices and convolutions were drawn.
        """


def uniform(like: Tensor, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Numbers between two bounds, in the shape of a parameter."""
    return torch.empty_like(like).uniform_(low, high, generator=generator)


def inverse_softplus(x: Tensor) -> Tensor:
    """What softplus turns into x, which is positive."""
    return x + torch.log(-torch.expm1(-x))


class _Kept(NamedTuple):
    """What was made of weights, and how they were then."""

    weights: tuple[Tensor, ...]
    versions: tuple[int, ...]
    made: Tensor

    def still_holds(self, weights: Sequence[Tensor]) -> bool:
        """Whether these are the same numbers, unless somebody went past torch's own count."""
        return all(
            old.dtype == new.dtype and old.data_ptr() == new.data_ptr() and version == new._version
            for old, version, new in zip(self.weights, self.versions, weights, strict=True)
        )


_kept: WeakKeyDictionary[nn.Module, dict[str, _Kept]] = WeakKeyDictionary()
"""Beside the layers, not within: a copy of a layer, or a file of it, takes nothing along."""


def derived(layer: nn.Module, name: str, make: Callable[[], Tensor], *weights: Tensor) -> Tensor:
    """What follows from weights alone, made once for a layer; anew for others, or changed ones.

    Torch counts how often a tensor was changed in place. Weights that came into being in inference
    mode have no such count: of them nothing is kept. Nor is it where gradients are wanted, which
    flow once through what was made.
    """
    learns = torch.is_grad_enabled() and any(weight.requires_grad for weight in weights)
    if learns or any(weight.is_inference() for weight in weights):
        return make()
    known = _kept.setdefault(layer, {}).get(name)
    if known is None or not known.still_holds(weights):
        # Held as they are, so that no other tensor can come to lie where they lay.
        held = tuple(weight.detach() for weight in weights)
        versions = tuple(weight._version for weight in weights)
        known = _kept[layer][name] = _Kept(held, versions, make())
    return known.made
