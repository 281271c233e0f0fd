"""Normalisation, computed in float32 or wider whatever the weights are stored in."""

# Shapes: D width; any leading axes.
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from needlework.models import cuda, kernels
from needlework.models.config import Norm
from needlework.models.pointwise import fuses


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

    def after(self, x: Tensor, update: Tensor | None) -> tuple[Tensor, Tensor]:
        """x + update, or x without one, and that normalised."""
        if fuses(x) and self.groups == 1:
            from needlework.models import fused

            return fused.add_norm(x, update, self.weight, None, eps=self.eps, offset=self.offset)
        x = x if update is None else x + update
        return x, self(x)

    def gated(self, x: Tensor, gate: Tensor) -> Tensor:
        """x * silu(gate) normalised, each group for itself (Dao and Gu, arXiv:2405.21060)."""
        if kernels.chosen("selective_scan", x.device, x.dtype) != kernels.TORCH:
            return cuda.gated_norm(x, gate, self.weight, eps=self.eps, groups=self.groups)
        normal: Tensor = self(x * F.silu(gate.to(x.dtype)))
        return normal


class LayerNorm(nn.LayerNorm):
    """Layer normalisation with weight and bias; the result has the weight's dtype."""

    def after(self, x: Tensor, update: Tensor | None) -> tuple[Tensor, Tensor]:
        """x + update, or x without one, and that normalised."""
        if fuses(x):
            from needlework.models import fused

            return fused.add_norm(x, update, self.weight, self.bias, eps=self.eps, offset=False)
        x = x if update is None else x + update
        return x, self(x)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis."""
        return super().forward(x.to(self.weight.dtype))


def build_norm(config: Norm, width: int) -> RMSNorm | LayerNorm:
    """The normalisation a config asks for."""
    if config.kind == "layer":
        return LayerNorm(width, eps=config.eps)
    return RMSNorm(width, eps=config.eps, offset=config.offset)
