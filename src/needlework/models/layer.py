"""What the record of every kind of layer tells of it, without tensors: cost, operations, chunks.

A FLOP is one multiplication or one addition of a matrix product or convolution; what is computed
element by element is left out, as is usual (Kaplan et al., arXiv:2001.08361, section 2.1: 2 FLOPs a
parameter and token). The terms of the recurrences are those of the chunked algorithms that run.
"""

from abc import ABC, abstractmethod
from typing import Literal, NamedTuple

from needlework.parsing import Closed


class LayerCost(NamedTuple):
    """What one mixer costs."""

    parameters: int
    matrices: int
    """FLOPs of a token through matrices and convolutions, recurrences aside."""
    chunked: int = 0
    """FLOPs of a token in the recurrence while a prompt is read in whole chunks."""
    alone: int = 0
    """The same for a token that is read by itself, as answers are written."""
    carried: int | None = None
    """The same for a token of a prompt of which only the state is wanted; None: that is `alone`."""
    ending: int = 0
    """FLOPs that serve a token's result and not the state: the last layer spares all but one."""
    key: int = 0
    """FLOPs of a query for every key it sees."""
    window: int | None = None
    """Keys a query sees at most; None for all."""
    key_elements: int = 0
    """Numbers kept for every token."""
    kept_elements: int = 0
    """Numbers kept whatever the length, in the dtype of the weights."""
    wide_elements: int = 0
    """Those kept in float32."""
    counters: int = 0
    widest: int = 0
    """Numbers a token has at the mixer's widest place, in the dtype of the weights."""
    wide_places: int = 0
    """Numbers a token has in float32 inside the recurrence, pairs of a chunk included."""

    @property
    def remembering(self) -> int:
        """FLOPs of a token of which only the state is wanted."""
        recurrence = self.alone if self.carried is None else self.carried
        return self.matrices + recurrence - self.ending


Operation = Literal[
    "attention",
    "convolution",
    "selective_scan",
    "diagonal_scan",
    "weighted_key_values",
    "pointwise",
]
"""What a kernel may compute in place of torch; `models.kernels` says which, and when."""


class Layer(Closed, ABC):
    """One kind of layer; what can be said of it without tensors stands in its record."""

    @abstractmethod
    def cost(self, width: int) -> LayerCost:
        """What it costs in a decoder of this width."""

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Those of its operations that a kernel may compute, norms and gates among them."""
        return ("pointwise",)

    @property
    def chunk_tokens(self) -> int:
        """Tokens that are combined at once; 0 where nothing is carried between chunks."""
        return 0
