"""What every layer of a decoder can do; history is an argument and a result."""

# Shapes: B batch, T tokens, D width.
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from torch import Tensor, nn

from needlework.models.padding import last_token
from needlework.models.state import LayerState

State = TypeVar("State", bound=LayerState)


class Mixer(nn.Module, ABC, Generic[State]):
    """Mixes tokens with those before them, of which it knows no more than its state."""

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
