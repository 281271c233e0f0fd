"""A causal depthwise convolution that carries its last inputs."""

# Shapes: B batch, T tokens, C channels, K taps, J = K - 1 inputs carried.
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from needlework.models import cuda, kernels


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
        self, x_BTC: Tensor, tail_BJC: Tensor, lengths_B: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Convolve; returns y of shape (B, T, C) and the last J valid inputs of every row."""
        joined = torch.cat([tail_BJC, x_BTC], dim=1)
        if self._by_kernel(x_BTC):
            y_BTC = cuda.convolution(x_BTC, tail_BJC, self.weight[:, 0], self.bias)
        elif x_BTC.shape[1] == 1:
            y_BTC = (joined * self.weight[:, 0].T).sum(dim=1, keepdim=True)
            y_BTC = y_BTC if self.bias is None else y_BTC + self.bias
        else:
            channels_first = joined.transpose(1, 2)
            y_BTC = F.conv1d(
                channels_first, self.weight, self.bias, groups=len(self.weight)
            ).transpose(1, 2)
        return y_BTC, last_valid(joined, tail_BJC.shape[1], lengths_B)

    def _by_kernel(self, x_BTC: Tensor) -> bool:
        channels, _, taps = self.weight.shape
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
