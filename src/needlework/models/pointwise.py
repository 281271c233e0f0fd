"""What stands between matrix products: in torch as it is defined, on CUDA in one launch each."""

# Shapes: any leading axes, D width.
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from needlework.models import kernels

if TYPE_CHECKING:
    from needlework.models.fused import Activation

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "silu": F.silu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "sigmoid": torch.sigmoid,
    "relu": F.relu,
}


def fuses(x: Tensor) -> bool:
    """Whether our own kernels, which have no backward pass, compute what is done to x."""
    chosen = kernels.chosen("pointwise", x.device, x.dtype) != kernels.TORCH
    return chosen and not torch.is_grad_enabled()


def gated(gate: Tensor, up: Tensor, activation: "Activation") -> Tensor:
    """activation(gate) * up, in the gate's dtype."""
    if fuses(gate):
        from needlework.models import fused

        return fused.gated(gate, up, activation)
    return ACTIVATIONS[activation](gate) * up.to(gate.dtype)
