"""Rows that are written beside one prefix by our own kernels, interpreted."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from needlework.models import kernels
from needlework.models.key_values import Prefix
from needlework.proving.beside import compare_beside
from needlework.proving.checking import share
from needlework.proving.steps import TOY
from tests.kernels import interpreter
from tests.kernels.test_decoders import small

fused_attention = pytest.importorskip("needlework.models.fused_attention")

pytestmark = interpreter.KERNELS

# In bfloat16 weights and results are rounded, which the interpreter does by cutting off.
TOLERANCE = {torch.float32: 1e-6, torch.bfloat16: 2**-6}
SHAPES = {
    "a row's keys in one step": (3, 4, 4, 24, 130, 40),
    "grouped heads": (5, 8, 2, 16, 64, 3),
    "more queries than a program has": (33, 4, 2, 80, 300, 129),
    "a prefix of a few keys": (1, 6, 3, 40, 7, 1),
}
"""Rows, heads, key/value heads, channels, tokens of the prefix, columns."""


def drawn(*shape: int, dtype: torch.dtype) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator).to(dtype)


def by_definition(
    q_BH1P: Tensor, prefix: Prefix, k_BGSP: Tensor, v_BGSP: Tensor, lengths: list[int]
) -> Tensor:
    """Each row by itself, over the prefix and its own keys side by side, in float64."""
    rows = []
    for row, length in enumerate(lengths):
        pairs = (prefix.keys_1HSP, k_BGSP), (prefix.values_1HSP, v_BGSP)
        k, v = (torch.cat([one[0], own[row, :, :length]], dim=1) for one, own in pairs)
        each = q_BH1P.shape[1] // k.shape[0]
        k, v = (tensor.double().repeat_interleave(each, dim=0) for tensor in (k, v))
        rows.append(F.softmax(q_BH1P[row].double() @ k.mT * k.shape[-1] ** -0.5, dim=-1) @ v)
    return torch.stack(rows)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_attention_beside_a_prefix(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """Slots are wider than what is looked at; behind a row's keys lies what is no number."""
    rows, heads, groups, width, tokens, columns = shape
    prefix = Prefix(
        *(drawn(1, groups, tokens + 5, width, dtype=dtype)[:, :, :tokens] for _ in "kv")
    )
    keys, values = (drawn(rows, groups, columns + 9, width, dtype=dtype) for _ in "kv")
    lengths = [1 + 7 * row % columns for row in range(rows)]
    for row, length in enumerate(lengths):
        keys[row, :, length:] = values[row, :, length:] = float("nan")
    q = drawn(rows, 1, heads, width, dtype=dtype).transpose(1, 2)
    own = keys[:, :, :columns], values[:, :, :columns]
    found = fused_attention.attend_beside(q, prefix, *own, torch.tensor(lengths))
    assert found.dtype is dtype
    expected = by_definition(q, prefix, *own, lengths)
    assert share(found, expected) <= TOLERANCE[dtype]


@pytest.mark.parametrize("programs", [1, 100, 10_000])
@pytest.mark.parametrize("keys", [1, 63, 64, 65, 5_000, 131_072])
def test_parts_hold_every_key_once(keys: int, programs: int) -> None:
    parts, of_each = fused_attention.cut(keys, programs)
    assert of_each % fused_attention.KEYS == 0
    assert (parts - 1) * of_each < keys <= parts * of_each
    assert parts == 1 or parts * programs <= fused_attention.PROGRAMS


@pytest.mark.parametrize("name", ["llama", "transformerpp", "mamba2attn"])
def test_steps_of_a_decoder_beside_a_prefix(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of unequal length, in slots: the logits of rows with all keys of their own.

    In float32, which says more than the numbers of 16 bits that are computed so on a GPU.
    """
    assert torch.float32 not in kernels.BESIDE
    monkeypatch.setattr(kernels, "BESIDE", (torch.float32,))
    scale = TOY._replace(models={name: small(name)}, rows=(1, 3), context=40)
    found = compare_beside(scale, name)
    assert found.in_place
    assert found.difference <= 3e-5


def test_a_part_that_is_left_out_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = fused_attention.cut
    monkeypatch.setattr(fused_attention, "KEYS", 16)

    def short(keys: int, programs: int) -> tuple[int, int]:
        parts, of_each = honest(keys, programs)
        return max(1, parts - 1), of_each

    monkeypatch.setattr(fused_attention, "cut", short)
    with pytest.raises(AssertionError):
        test_attention_beside_a_prefix(SHAPES["grouped heads"], torch.float32)
