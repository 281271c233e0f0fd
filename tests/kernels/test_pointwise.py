"""Our own kernels, interpreted, against the formulas that they stand for, in float64."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from needlework.models import pointwise
from needlework.models.convolution import last_of_both, last_valid
from needlework.models.key_values import KeyValueState
from needlework.models.rotary import rotate
from needlework.proving.checking import share
from tests.kernels import interpreter

fused = pytest.importorskip("needlework.models.fused")
fused_recurrent = pytest.importorskip("needlework.models.fused_recurrent")

pytestmark = interpreter.KERNELS

# Rounded once: float32 has 24 bits, bfloat16 8, and the interpreter cuts off what a GPU rounds.
TOLERANCE = {torch.float32: 1e-6, torch.bfloat16: 2**-7}
DTYPES = list(TOLERANCE)


def drawn(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(shape, generator=generator).to(dtype)


def agrees(found: Tensor, exact: Tensor) -> None:
    assert share(found, exact) <= TOLERANCE[found.dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [24, 1500])
@pytest.mark.parametrize("name", pointwise.ACTIVATIONS)
def test_a_gate(name: str, width: int, dtype: torch.dtype) -> None:
    """Halves of one projection, and a gate beside numbers of another dtype."""
    up, gate = drawn(2, 3, 2 * width, dtype=dtype).chunk(2, dim=-1)
    exact = pointwise.ACTIVATIONS[name](gate.double())
    agrees(fused.gated(gate, up, name), exact * up.double())
    wide = drawn(2, 3, width)
    agrees(fused.gated(gate, wide, name), exact * wide.double())


NORMS = {
    "root mean square": lambda x, w, b: F.rms_norm(x, x.shape[-1:], w, 1e-5),
    "of Gemma": lambda x, w, b: F.rms_norm(x, x.shape[-1:], 1 + w, 1e-5),
    "layer": lambda x, w, b: F.layer_norm(x, x.shape[-1:], w, b, 1e-5),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [16, 100])
@pytest.mark.parametrize("name", NORMS)
def test_a_sum_and_its_norm(name: str, width: int, dtype: torch.dtype) -> None:
    """With and without something to add; a stream that is wider than what is added."""
    weight, bias = drawn(width, dtype=dtype), drawn(width, dtype=dtype, seed=1)
    for stream in {dtype, torch.float32}:
        x, update = 5 + drawn(2, 3, width, dtype=stream), drawn(2, 3, width, dtype=dtype, seed=2)
        for added in (update, None):
            total, normal = fused.add_norm(
                x, added, weight, bias if name == "layer" else None, eps=1e-5,
                offset=name == "of Gemma",
            )  # fmt: skip
            agrees(total, x.double() if added is None else x.double() + added.double())
            assert (total.dtype, normal.dtype) == (stream, dtype)
            agrees(normal, NORMS[name](total.double(), weight.double(), bias.double()))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("half", [0, 3, 6])
@pytest.mark.parametrize("lengths", [[4, 4], [4, 1]])
@pytest.mark.parametrize("slow", [False, True])
def test_rotated_queries_and_a_cache_with_rotated_keys(
    slow: bool, lengths: list[int], half: int, dtype: torch.dtype
) -> None:
    """Rows that begin at one column, and not; all, some and none of the channels turn.

    Channels are slower than tokens behind a convolution that torch has computed.
    """
    heads, groups, width, tokens = 4, 2, 12, 5
    cache = KeyValueState.empty(2, groups, width, torch.zeros(1, dtype=dtype))
    before = drawn(2, groups, 4, width, dtype=dtype)
    cache = cache.append(before, before, torch.tensor(lengths))
    qkv = drawn(2, tokens, (heads + 2 * groups) * width, dtype=dtype)
    if slow:
        qkv = qkv.transpose(1, 2).contiguous().transpose(1, 2)
    angles = None
    q, k, v = (
        torch.unflatten(qkv.double(), 2, (-1, width))
        .transpose(1, 2)
        .split([heads, groups, groups], dim=1)
    )
    if half:
        angle = drawn(2, 1, tokens, half)
        angles = angle.cos(), angle.sin()
        q, k = (rotate(each, *(angle.double() for angle in angles)) for each in (q, k))
    roomy = cache.with_room(tokens)
    buffer = roomy.buffer
    found = fused.rotate_append(
        qkv, angles, cache.length_B, buffer.keys_BHSP, buffer.values_BHSP, heads=heads
    )
    agrees(found, q)
    for row, start in enumerate(lengths):
        agrees(buffer.keys_BHSP[row, :, start : start + tokens], k[row])
        assert torch.equal(buffer.values_BHSP[row, :, start : start + tokens].double(), v[row])
        assert torch.equal(buffer.keys_BHSP[row, :, :start], before[row, :, :start])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("silu", [True, False])
@pytest.mark.parametrize(("channels", "taps", "biased"), [(20, 4, True), (1200, 2, False)])
def test_the_convolution_of_one_token(
    channels: int, taps: int, biased: bool, silu: bool, dtype: torch.dtype
) -> None:
    x = drawn(3, 1, channels + 7, dtype=dtype)[..., 7:]
    tail, weight = drawn(3, taps - 1, channels, dtype=dtype), drawn(channels, taps, dtype=dtype)
    bias = drawn(channels, dtype=dtype) if biased else None
    found, after = fused.convolve_token(x, tail, weight, bias, silu=silu)
    joined = torch.cat([tail, x], dim=1)
    exact = (joined.double() * weight.T.double()).sum(dim=1, keepdim=True)
    exact = exact if bias is None else exact + bias.double()
    agrees(found, F.silu(exact) if silu else exact)
    assert torch.equal(after, joined[:, 1:])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("learns", [True, False])
@pytest.mark.parametrize("tokens", [1, 6])
def test_tokens_mixed_with_those_before(tokens: int, learns: bool, dtype: torch.dtype) -> None:
    x, last, mixes = drawn(2, tokens, 20, dtype=dtype), drawn(2, 20, dtype=dtype), drawn(5, 20)
    learnt = drawn(5, 2 * tokens, 20, dtype=dtype) if learns else None
    before = torch.cat([last[:, None], x[:, :-1]], dim=1).double()
    shares = mixes.double()[:, None, None]
    if learnt is not None:
        shares = shares + learnt.double().view(5, 2, tokens, 20)
    exact = x.double() + (before - x.double()) * shares
    agrees(fused_recurrent.mix(x, last, mixes.to(torch.float32), learnt), exact)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_log_decay(dtype: torch.dtype) -> None:
    low, base = drawn(2, 3, 40, dtype=dtype), 3 * drawn(40)
    found = fused_recurrent.log_decay(low, base)
    assert found.dtype is torch.float32
    agrees(found, -(low.double() + base.double()).exp())


def normed(x: Tensor, gate: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    heads = x.shape[-2]
    flat = x.double().flatten(0, 1).flatten(1)
    normal = F.group_norm(flat, heads, weight.double(), bias.double(), 1e-3)
    return normal.view(gate.shape) * F.silu(gate.double())


@pytest.mark.parametrize("dtype", DTYPES)
def test_heads_that_are_normalised_and_gated(dtype: torch.dtype) -> None:
    x, gate = 3 + drawn(2, 4, 3, 20), drawn(2, 4, 60, dtype=dtype)
    weight, bias = drawn(60, dtype=dtype), drawn(60, dtype=dtype, seed=1)
    found = fused_recurrent.head_norm_gate(x, gate, weight, bias, eps=1e-3)
    agrees(found, normed(x, gate, weight, bias))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("head", [4, 20])
def test_one_token_of_weighted_key_values(head: int, in_place: bool, dtype: torch.dtype) -> None:
    r, k, v = (drawn(2, 1, 3, head, dtype=dtype, seed=seed) for seed in range(3))
    log_decay, bonus = -drawn(2, 1, 3, head).exp(), drawn(3, head)
    state, wide = drawn(2, 3, head, head), 3 * head
    gate, weight, bias = (drawn(*shape, dtype=dtype) for shape in ((2, 1, wide), (wide,), (wide,)))
    kept = state.clone()
    found, after = fused_recurrent.write_token(
        r, k, v, log_decay, bonus, gate, weight, bias, state, eps=1e-3, in_place=in_place
    )
    added = k.double()[:, 0, :, :, None] * v.double()[:, 0, :, None]
    seen = kept.double() + bonus.double()[..., None] * added
    o = (r.double()[:, 0, :, None] @ seen)[:, None, :, 0]
    agrees(found, normed(o, gate, weight, bias))
    agrees(after, log_decay.double()[:, 0].exp()[..., None] * kept.double() + added)
    assert torch.equal(state, after if in_place else kept)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("positions", [[0, 0], [0, 7]])
def test_the_gates_of_a_recurrence(positions: list[int], dtype: torch.dtype) -> None:
    """Decays from 0.9 to 1 - 1e-7, where 1 - exp(x) has no digits left."""
    blocks, block, tokens = 3, 8, 5
    width = blocks * block
    u = drawn(2, tokens, width + 4, dtype=dtype)[..., 4:]
    mapped, bias = drawn(blocks, 2 * tokens, 2 * block), drawn(blocks, 2 * block, dtype=dtype)
    rate = -torch.logspace(-7, -1, width)
    found = fused_recurrent.lru_gates(u, mapped, bias, rate, torch.tensor(positions))
    raw = (mapped.double() + bias.double()[:, None]).transpose(0, 1).view(2, tokens, blocks, -1)
    admit, forget = (each.flatten(2).sigmoid() for each in raw.chunk(2, dim=-1))
    log_decay = rate.double() * forget
    scale = (-torch.expm1(2 * log_decay)).sqrt()
    position = torch.tensor(positions)[:, None] + torch.arange(tokens)
    scale = torch.where((position == 0)[..., None], 1.0, scale)
    agrees(found[0], log_decay)
    exact = scale * admit * u.double()
    assert float(((found[1] - exact).abs() / exact.abs()).max()) <= 2e-6
    assert {each.dtype for each in found} == {torch.float32}


@pytest.mark.parametrize("lengths", [None, [5, 1], [2, 4]])
@pytest.mark.parametrize("tokens", [1, 2, 3, 5])
def test_inputs_to_carry_on_without_joining_them(tokens: int, lengths: list[int] | None) -> None:
    tail, x = drawn(2, 3, 4), drawn(2, tokens, 4)
    lengths_B = None if lengths is None else torch.tensor(lengths).clamp(max=tokens)
    expected = last_valid(torch.cat([tail, x], dim=1), 3, lengths_B)
    assert torch.equal(last_of_both(tail, x, lengths_B), expected)


def test_nothing_is_fused_where_gradients_are_wanted() -> None:
    """Our kernels have no backward pass."""
    x = drawn(2, 4)
    assert pointwise.fuses(x)
    with torch.inference_mode(False), torch.enable_grad():
        assert not pointwise.fuses(drawn(2, 4))
