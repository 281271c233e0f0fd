"""Attention of one token a row in 16 bits on a CPU, which is computed in a form of its own."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from needlework.models.attending import HALF, from_one_token

ROWS, KEYS, WIDTH = 5, 40, 64
TOLERANCE = 2e-2
"""Of outputs of size one: bfloat16 keeps eight bits, and torch's own form is as far off."""
LENGTHS = (3, 40, 7, 9, 1)


def masks() -> dict[str, Tensor | None]:
    """Everything visible, each row up to its own length, all rows alike."""
    columns = torch.arange(KEYS)[None, None, None]
    lengths = torch.tensor(LENGTHS)[:, None, None, None]
    return {"none": None, "rows": columns < lengths, "alike": columns < LENGTHS[0]}


@pytest.mark.parametrize("mask", masks())
@pytest.mark.parametrize(("heads", "groups"), [(9, 3), (4, 4), (8, 1)])
@pytest.mark.parametrize("dtype", HALF)
def test_it_is_what_float64_gives(dtype: torch.dtype, heads: int, groups: int, mask: str) -> None:
    draw = torch.Generator().manual_seed(0)
    shapes = ((ROWS, heads, 1, WIDTH), (ROWS, groups, KEYS, WIDTH), (ROWS, groups, KEYS, WIDTH))
    q, k, v = (torch.randn(shape, generator=draw).to(dtype) for shape in shapes)
    visible = masks()[mask]
    expected = F.scaled_dot_product_attention(
        q.double(), k.double(), v.double(), attn_mask=visible, enable_gqa=True
    )
    found = from_one_token(q, k, v, visible)
    assert found.shape == q.shape
    assert found.dtype is dtype
    assert float((found.double() - expected).abs().max()) < TOLERANCE
