"""What every layer of a decoder can do; history is an argument and a result."""

# Shapes: B batch, T tokens, D width.
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from typing import ClassVar, Generic, TypeVar, cast

import torch
from torch import Tensor, nn

from needlework.models.padding import last_token
from needlework.models.state import LayerState

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


def derived(layer: nn.Module, name: str, make: Callable[[], Tensor], *weights: Tensor) -> Tensor:
    """What follows from weights alone, made once and kept beside them; anew for other weights.

    For inference: weights that are changed in place afterwards are not noticed.
    """
    kept: dict[str, tuple[tuple[Tensor, ...], Tensor]] = layer.__dict__.setdefault("_derived", {})
    known = kept.get(name)
    same = known is not None and all(map(operator.is_, known[0], weights))
    if known is None or not same:
        known = kept[name] = (weights, make())
    return known[1]
