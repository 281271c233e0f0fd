"""A causal depthwise convolution that carries its last inputs."""

# Shapes: B batch, T tokens, C channels, K taps, J = K - 1 inputs carried.
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from needlework.models import cuda, kernels
from needlework.models.pointwise import fuses


class CausalConvolution(nn.Module):
    """y_t = bias + sum_k weight_k x_{t-K+1+k}, each channel for itself.

    The carried state is the last K - 1 *inputs*, which is what makes any cut of the sequence exact.
    """

    def __init__(self, channels: int, taps: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, taps).uniform_(-0.5, 0.5))
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None

    def init_tail(self, batch: int) -> Tensor:
        """No inputs yet: zeros of shape (B, J, C)."""
        channels, _, taps = self.weight.shape
        return self.weight.new_zeros(batch, taps - 1, channels)

    def forward(
        self, x_BTC: Tensor, tail_BJC: Tensor, lengths_B: Tensor | None, *, silu: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Convolve; returns y of shape (B, T, C) and the last J valid inputs of every row.

        Of y, silu(y) where that is asked for.
        """
        if self._by_kernel(x_BTC):
            y_BTC = cuda.convolution(x_BTC, tail_BJC, self.weight[:, 0], self.bias, silu=silu)
            return y_BTC, last_of_both(tail_BJC, x_BTC, lengths_B)
        if x_BTC.shape[1] == 1 and lengths_B is None and fuses(x_BTC):
            from needlework.models import fused

            return fused.convolve_token(x_BTC, tail_BJC, self.weight[:, 0], self.bias, silu=silu)
        joined = torch.cat([tail_BJC, x_BTC], dim=1)
        if x_BTC.shape[1] == 1:
            y_BTC = (joined * self.weight[:, 0].T).sum(dim=1, keepdim=True)
            y_BTC = y_BTC if self.bias is None else y_BTC + self.bias
        else:
            channels_first = joined.transpose(1, 2)
            y_BTC = F.conv1d(
                channels_first, self.weight, self.bias, groups=len(self.weight)
            ).transpose(1, 2)
        if silu:
            y_BTC = F.silu(y_BTC)
        return y_BTC, last_valid(joined, tail_BJC.shape[1], lengths_B)

    def _by_kernel(self, x_BTC: Tensor) -> bool:
        channels, _, taps = self.weight.shape
        if x_BTC.shape[1] == 1 and fuses(x_BTC):
            return False
        chosen = kernels.chosen("convolution", x_BTC.device, x_BTC.dtype)
        return chosen != kernels.TORCH and cuda.convolves(channels, taps)


def last_valid(joined: Tensor, count: int, lengths_B: Tensor | None) -> Tensor:
    """The last `count` inputs of every row, where row b of `joined` is (carried, T new ones).

    `joined` has shape (B, count + T, C); of the new inputs of row b, `lengths_B[b]` are valid.
    """
    if lengths_B is None:
        return joined[:, joined.shape[1] - count :].clone()
    index_BJ = lengths_B[:, None] + torch.arange(count, device=joined.device)
    return joined.gather(1, index_BJ[..., None].expand(-1, -1, joined.shape[2]))


def last_of_both(tail_BJC: Tensor, x_BTC: Tensor, lengths_B: Tensor | None) -> Tensor:
    """`last_valid` of the carried inputs and the new ones, without joining all of them."""
    count, tokens = tail_BJC.shape[1], x_BTC.shape[1]
    if lengths_B is None and tokens == count:
        return x_BTC
    if lengths_B is None and tokens > count:
        return x_BTC[:, tokens - count :].clone()
    if lengths_B is None:
        return torch.cat([tail_BJC[:, tokens:], x_BTC], dim=1)
    index_BJ = lengths_B[:, None] + torch.arange(count, device=x_BTC.device)
    rows_B1 = torch.arange(len(x_BTC), device=x_BTC.device)[:, None]
    old = tail_BJC[rows_B1, index_BJ.clamp(max=count - 1)]
    new = x_BTC[rows_B1, (index_BJ - count).clamp(min=0)]
    return torch.where((index_BJ < count)[..., None], old, new)
