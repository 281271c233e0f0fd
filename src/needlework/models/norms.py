"""Normalisation, computed in float32 or wider whatever the weights are stored in."""

# Shapes: D width; any leading axes.
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from needlework.models.config import Norm


class RMSNorm(nn.Module):
    """x / rms(x) times a weight (arXiv:1910.07467), or times 1 + weight as Gemma stores it."""

    def __init__(self, width: int, *, eps: float, offset: bool = False, groups: int = 1) -> None:
        super().__init__()
        self.eps = eps
        self.groups = groups
        self.offset = offset
        self.weight = nn.Parameter(torch.zeros(width) if offset else torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis, each group for itself; the result has the weight's dtype."""
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        weight_D = self.weight.to(wide.dtype)
        scale_D = 1 + weight_D if self.offset else weight_D
        if self.groups == 1:
            return F.rms_norm(wide, scale_D.shape, scale_D, self.eps).to(self.weight.dtype)
        grouped = torch.unflatten(wide, -1, (self.groups, -1))
        normal = F.rms_norm(grouped, grouped.shape[-1:], None, self.eps).flatten(-2)
        return (normal * scale_D).to(self.weight.dtype)


class LayerNorm(nn.LayerNorm):
    """Layer normalisation with weight and bias; the result has the weight's dtype."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis."""
        return super().forward(x.to(self.weight.dtype))


def build_norm(config: Norm, width: int) -> RMSNorm | LayerNorm:
    """The normalisation a config asks for."""
    if config.kind == "layer":
        return LayerNorm(width, eps=config.eps)
    return RMSNorm(width, eps=config.eps, offset=config.offset)
