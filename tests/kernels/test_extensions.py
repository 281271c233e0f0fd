"""Compiled packages: called as their C++ wants to be, with the answers of torch."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from needlework.models import attending, config, cuda, kernels
from needlework.models.convolution import CausalConvolution
from needlework.models.random_weights import random_layer
from needlework.proving.checking import largest_share, share
from tests.kernels import extensions, interpreter
from tests.kernels_for_tests import difference_from_torch, layer_results

pytestmark = interpreter.KERNELS

DTYPES = [torch.float32, torch.bfloat16]
# bfloat16 has 8 bits: two roundings of a sum of four products.
TOLERANCE = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}

PROJECTIONS = {
    "mamba2-2.7b": (5376, 5120, 10576),
    "mamba2attn-2.7b attention": (11520, 0, 11520),
    "recurrentgemma": (2560, 2560, 5120),
    "nano mamba2": (320, 256, 580),
    "nano mamba2attn attention": (384, 0, 384),
    "nano griffin": (128, 128, 256),
    "tiny mamba2": (96, 64, 164),
    "half a vector on": (16, 4, 32),
    "odd channels": (20, 0, 20),
}
"""Channels of a convolution, the column of the projection they begin at, and its columns."""


def convolution(channels: int, taps: int, dtype: torch.dtype) -> CausalConvolution:
    torch.manual_seed(0)
    layer = CausalConvolution(channels, taps)
    torch.nn.init.normal_(layer.bias)
    return layer.to(dtype)


def convolves_as_torch(layer: CausalConvolution, x_BTC: Tensor, tail_BJC: Tensor) -> None:
    """By causal-conv1d, and a single token by our own kernel where there is Triton, too."""
    before = x_BTC.clone(), tail_BJC.clone()
    for absent in ("triton", "nothing"):
        with pytest.MonkeyPatch.context() as without:
            without.setattr(kernels, "installed", partial(str.__ne__, absent))
            found = difference_from_torch(lambda: layer(x_BTC, tail_BJC, None))
        assert found <= TOLERANCE[x_BTC.dtype]
    assert torch.equal(x_BTC, before[0])
    assert torch.equal(tail_BJC, before[1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PROJECTIONS)
def test_a_convolution_takes_any_slice_of_a_projection(name: str, dtype: torch.dtype) -> None:
    """The slice of nano Mamba2 steps by 580 channels, which causal-conv1d refuses."""
    channels, first, columns = PROJECTIONS[name]
    layer = convolution(channels, 4, dtype)
    tail_BJC = torch.randn(2, 3, channels).to(dtype)
    for rows, tokens in ((1, 1), (2, 1), (1, 3), (2, 2), (2, 70)):
        x_BTC = torch.randn(rows, tokens, columns).to(dtype)[..., first : first + channels]
        convolves_as_torch(layer, x_BTC, tail_BJC[:rows])


LAYOUTS = {
    "channels slow": lambda x: x.transpose(1, 2).contiguous().transpose(1, 2),
    "tokens before rows": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "one row for all": lambda x: x[:1].expand_as(x),
    "one token for all": lambda x: x[:, :1].expand_as(x),
    "every second channel": lambda x: torch.stack([x, x], dim=-1)[..., 0],
    "begins within a vector": lambda x: F.pad(x.flatten(), (1, 0))[1:].view_as(x),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_convolution_takes_any_layout(layout: str, dtype: torch.dtype) -> None:
    """The last is contiguous for torch, and none the less misaligned for vectors."""
    layer = convolution(16, 4, dtype)
    for tokens in (1, 2, 70):
        x_BTC = LAYOUTS[layout](torch.randn(2, tokens, 16).to(dtype))
        convolves_as_torch(layer, x_BTC, LAYOUTS[layout](torch.randn(2, 3, 16).to(dtype)))


@pytest.mark.parametrize(("channels", "taps"), [(16, 2), (16, 3), (16, 5), (12, 4)])
def test_torch_takes_the_sizes_that_have_no_kernel(channels: int, taps: int) -> None:
    layer = convolution(channels, taps, torch.float32)
    convolves_as_torch(layer, torch.randn(2, 9, channels), torch.randn(2, taps - 1, channels))
    assert cuda.convolves(channels, taps) == (channels % 8 == 0 and taps < 5)


HEADS = {
    "of 80": config.Attention(heads=4, kv_heads=4, head_width=80, rotary_width=40),
    "of 128": config.Attention(heads=2, kv_heads=2, head_width=128, rotary_width=128),
    "grouped": config.Attention(
        heads=12, kv_heads=2, head_width=32, rotary_width=32, qkv_bias=True
    ),
    "one group, window": config.Attention(
        heads=10, kv_heads=1, head_width=32, rotary_width=16, window=24
    ),
    "odd width": config.Attention(heads=4, kv_heads=2, head_width=20, rotary_width=10),
    "wider than any kernel": config.Attention(heads=2, kv_heads=1, head_width=264, rotary_width=88),
    "convolved": config.Attention(
        heads=4, kv_heads=4, head_width=32, rotary_width=16, convolution=4
    ),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", HEADS)
def test_attention_of_any_heads(
    name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prompt, a masked continuation and single tokens; grouped ones without float32 scores.

    What fills the cache is checked by itself, and would take minutes here.
    """
    monkeypatch.setattr(kernels, "installed", lambda module: module != "triton")
    layer = random_layer(HEADS[name], 64, dtype=dtype)
    found = difference_from_torch(lambda: layer_results(layer, 64, rows=2, tokens=40))
    assert found <= TOLERANCE[dtype]


@pytest.mark.parametrize("name", HEADS)
def test_attention_without_flash_attn(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's own kernels have limits, too."""
    absent = ("flash_attn", "triton")
    monkeypatch.setattr(kernels, "installed", lambda module: module not in absent)
    for dtype in DTYPES:
        layer = random_layer(HEADS[name], 64, dtype=dtype)
        found = difference_from_the_cpu(
            lambda layer=layer: layer_results(layer, 64, rows=2, tokens=40)
        )
        assert found <= TOLERANCE[dtype]


def difference_from_the_cpu(run: Callable[[], list[Tensor]]) -> float:
    """The largest share by which `run` differs as on a GPU and as without one."""
    found = run()
    with pytest.MonkeyPatch.context() as without:
        without.setattr(kernels, "accelerated", lambda device: False)
        without.setattr(F, "scaled_dot_product_attention", extensions._attend)
        return largest_share(found, run())


@pytest.mark.parametrize("groups", [1, 3, 6])
def test_keys_for_every_head_are_views_of_those_of_its_group(
    groups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of a buffer's columns, two rows, a mask of each row's own."""
    q, buffer = torch.randn(2, 6, 5, 8), torch.randn(2, 2, groups, 18, 8)
    k, v = buffer[0, :, :, :9], buffer[1, :, :, :9]
    mask = torch.rand(2, 1, 5, 9) > 0.3
    mask[..., 0] = True
    given = []

    def watched(*tensors: Tensor, **settings: object) -> Tensor:
        given.extend(tensors[1:])
        return extensions.attention_of_cuda(*tensors, **settings)

    monkeypatch.setattr(F, "scaled_dot_product_attention", watched)
    ours = attending._grouped(q, k, v, mask)
    theirs = extensions._attend(q, k, v, attn_mask=mask, enable_gqa=True)
    assert share(ours, theirs) <= TOLERANCE[torch.float32]
    assert [each.data_ptr() for each in given] == [k.data_ptr(), v.data_ptr()]


@pytest.mark.parametrize("flash", [True, False])
@pytest.mark.parametrize("pairs", [1 << 24, 60])
@pytest.mark.parametrize("window", [None, 7])
def test_attention_of_rows_that_begin_and_end_anywhere(
    window: int | None, pairs: int, flash: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unequal histories, unequal continuations with padding, steps; in blocks of few queries."""
    spec = config.Attention(heads=4, kv_heads=2, head_width=16, rotary_width=8, window=window)
    layer = random_layer(spec, 32, dtype=torch.bfloat16)
    monkeypatch.setattr(kernels, "installed", lambda module: flash or module != "flash_attn")
    monkeypatch.setattr(attending, "MASKED_PAIRS", pairs)
    monkeypatch.setattr(attending, "WINDOWED_QUERIES", 4)

    def run() -> list[Tensor]:
        torch.manual_seed(0)
        x = torch.randn(3, 40, 32).to(torch.bfloat16)
        histories, lengths = [2, 9, 21], [19, 1, 6]
        states, found = [], []
        for row, length in enumerate(histories):
            y, state = layer(x[row : row + 1, :length], layer.init_state(1), None)
            found.append(y)
            states.append(state)
        state = type(states[0]).stack(states)
        y, state = layer(x[:, 20:39], state, torch.tensor(lengths))
        found += [row[:length] for row, length in zip(y, lengths, strict=True)]
        for _ in range(3):
            y, state = layer(x[:, 39:], state, None)
            found.append(y)
        y, _ = layer.read(x[:, :5], state, torch.tensor([5, 1, 3]))
        return [*found, y]

    assert difference_from_the_cpu(run) <= TOLERANCE[torch.bfloat16]


@pytest.mark.parametrize("heads", [2, 4])
def test_a_window_over_rows_that_begin_together_and_end_anywhere(
    heads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The columns of a late block of queries lie behind the end of a short row."""
    spec = config.Attention(heads=heads, kv_heads=2, head_width=16, rotary_width=8, window=7)
    layer = random_layer(spec, 32, dtype=torch.bfloat16)
    monkeypatch.setattr(kernels, "installed", lambda module: False)
    monkeypatch.setattr(attending, "WINDOWED_QUERIES", 4)
    x, lengths = torch.randn(3, 40, 32).to(torch.bfloat16), [40, 1, 9]

    def run() -> list[Tensor]:
        y, state = layer(x, layer.init_state(3), torch.tensor(lengths))
        after, _ = layer(x[:, :5], state, torch.tensor([5, 2, 3]))
        return [row[:length] for row, length in zip(y, lengths, strict=True)] + [after[:, 0]]

    assert difference_from_the_cpu(run) <= TOLERANCE[torch.bfloat16]
