"""Rotary position embedding (arXiv:2104.09864): half-split pairs, leading channels of a head."""

# Shapes: B batch, H heads, T tokens, P channels per head, R half the rotated channels.
from functools import cache

import torch
from torch import Tensor


def rotation(
    position_BT: Tensor, *, width: int, base: float, divisors: tuple[float, ...] | None = None
) -> tuple[Tensor, Tensor]:
    """Cosine and sine of every token's angles, each of shape (B, 1, T, width / 2), in float32.

    `divisors` slow the frequencies down, each by its own, as for contexts that were made longer.

    Angles are float32 whatever the model's dtype: transformers and mamba_ssm do the same, so the
    published weights were trained with these roundings.
    """
    frequency_R = _frequencies(width, base, divisors, position_BT.device)
    angle_B1TR = (position_BT[:, None, :, None].float()) * frequency_R
    return angle_B1TR.cos(), angle_B1TR.sin()


@cache
def _frequencies(
    width: int, base: float, divisors: tuple[float, ...] | None, device: torch.device
) -> Tensor:
    """Angles of one position, made once: a step that is recorded can copy nothing to a device."""
    exponent_R = torch.arange(0, width, 2, dtype=torch.float32, device=device) / width
    frequency_R = 1.0 / base**exponent_R
    if divisors is None:
        return frequency_R
    return frequency_R / torch.tensor(divisors, device=device)


def rotate(x_BHTP: Tensor, cos_B1TR: Tensor, sin_B1TR: Tensor) -> Tensor:
    """Rotate the first channels of every head by their token's angles; the others stay.

    Cosines and sines have the dtype of what they rotate.
    """
    half = cos_B1TR.shape[-1]
    first, second = x_BHTP[..., :half], x_BHTP[..., half : 2 * half]
    return torch.cat(
        [
            first * cos_B1TR - second * sin_B1TR,
            second * cos_B1TR + first * sin_B1TR,
            x_BHTP[..., 2 * half :],
        ],
        dim=-1,
    )
