"""What stands between matrix products, in one launch each: Triton kernels of our own.

Every kernel reads its arguments once, computes in float32 and rounds once, where it writes. None
has a backward pass. `pointwise.py` says in torch what they mean and when they are called.

Not yet run on a GPU.
"""

# Shapes: B batch, T tokens, N rows of any kind, D, F channels, H heads, G key/value heads,
# P channels per head, R half the rotated channels, S columns, J inputs carried.
from typing import Literal

import torch
import triton
import triton.language as tl
from torch import Tensor

Activation = Literal["silu", "gelu_tanh", "sigmoid", "relu"]
KINDS: dict[Activation, int] = {"silu": 0, "gelu_tanh": 1, "sigmoid": 2, "relu": 3}
BLOCK = 1024
"""Channels of a program where programs share a row."""


@triton.jit
def activated(x, KIND: tl.constexpr):
    if KIND == 0:
        y = x * tl.sigmoid(x)
    elif KIND == 1:
        # tanh(z) is 2 sigmoid(2 z) - 1.
        inner = 0.7978845608028654 * (x + 0.044715 * x * x * x)
        y = x * tl.sigmoid(2.0 * inner)
    elif KIND == 2:
        y = tl.sigmoid(x)
    else:
        y = tl.maximum(x, 0.0)
    return y


@triton.jit
def gated_kernel(
    gate, up, out, gate_step, up_step, out_step, width, KIND: tl.constexpr, SIZE: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * SIZE + tl.arange(0, SIZE)
    within = column < width
    x = tl.load(gate + row * gate_step + column, mask=within, other=0.0).to(tl.float32)
    y = tl.load(up + row * up_step + column, mask=within, other=0.0).to(tl.float32)
    tl.store(out + row * out_step + column, activated(x, KIND) * y, mask=within)


def gated(gate: Tensor, up: Tensor, activation: Activation) -> Tensor:
    """activation(gate) * up, of their shape and in the gate's dtype."""
    out = torch.empty(gate.shape, dtype=gate.dtype, device=gate.device)
    gates, ups = rows_of(gate), rows_of(up)
    width = gates.shape[1]
    grid = (len(gates), triton.cdiv(width, BLOCK))
    steps = gates.stride(0), ups.stride(0), width
    gated_kernel[grid](gates, ups, out, *steps, width, KINDS[activation], BLOCK)
    return out


@triton.jit
def add_norm_kernel(
    x, update, weight, bias, total, normal, x_step, update_step, width, eps,
    ADDS: tl.constexpr, LAYER: tl.constexpr, OFFSET: tl.constexpr, SIZE: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, SIZE)
    within = column < width
    value = tl.load(x + row * x_step + column, mask=within, other=0.0).to(tl.float32)
    if ADDS:
        added = tl.load(update + row * update_step + column, mask=within, other=0.0)
        # The sum is normalised as it is stored.
        rounded = (value + added.to(tl.float32)).to(total.dtype.element_ty)
        tl.store(total + row * width + column, rounded, mask=within)
        value = rounded.to(tl.float32)
    scale = tl.load(weight + column, mask=within, other=0.0).to(tl.float32)
    if LAYER:
        value = tl.where(within, value - tl.sum(value, 0) / width, 0.0)
    deviation = tl.sqrt(tl.sum(value * value, 0) / width + eps)
    if OFFSET:
        scale += 1.0
    result = value / deviation * scale
    if LAYER:
        result += tl.load(bias + column, mask=within, other=0.0).to(tl.float32)
    tl.store(normal + row * width + column, result, mask=within)


def add_norm(
    x: Tensor, update: Tensor | None, weight_D: Tensor, bias_D: Tensor | None, *, eps: float,
    offset: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """x + update (x itself without one) and that normalised, in the dtype of the weight.

    Root mean square without a bias, else layer normalisation.
    """
    width = x.shape[-1]
    rows = rows_of(x)
    normal = torch.empty(x.shape, dtype=weight_D.dtype, device=x.device)
    adds = update is not None
    total = torch.empty(x.shape, dtype=x.dtype, device=x.device) if adds else x
    updates = rows if update is None else rows_of(update)
    bias = weight_D if bias_D is None else bias_D
    size = triton.next_power_of_2(width)
    add_norm_kernel[(len(rows),)](
        rows, updates, weight_D, bias, total, normal, rows.stride(0), updates.stride(0), width,
        eps, adds, bias_D is not None, offset, size,
    )  # fmt: skip
    return total, normal


@triton.jit
def rotate_append_kernel(
    qkv, cos, sin, start, q, keys, values, qkv_row, qkv_token, angle_row, key_row, key_head,
    tokens, heads, groups, width, half,
    SIZE: tl.constexpr,
):  # fmt: skip
    place = tl.program_id(0)
    head = tl.program_id(1)
    row = (place // tokens).to(tl.int64)
    token = place % tokens
    channel = tl.arange(0, SIZE)
    within = channel < width
    source = qkv + row * qkv_row + token.to(tl.int64) * qkv_token + head * width
    x = tl.load(source + channel, mask=within, other=0.0).to(tl.float32)
    if head < heads + groups:
        turned = channel < 2 * half
        first = channel < half
        other = tl.where(first, channel + half, channel - half)
        partner = tl.load(source + other, mask=turned, other=0.0).to(tl.float32)
        angle = row * angle_row + token * half + tl.where(first, channel, channel - half)
        c = tl.load(cos + angle, mask=turned, other=1.0)
        s = tl.load(sin + angle, mask=turned, other=0.0)
        x = x * c + tl.where(first, -partner, partner) * s
    if head < heads:
        target = (place.to(tl.int64) * heads + head) * width
        tl.store(q + target + channel, x, mask=within)
    else:
        target = row * key_row + (tl.load(start + row) + token) * width
        group = (head - heads).to(tl.int64)
        if head < heads + groups:
            tl.store(keys + target + group * key_head + channel, x, mask=within)
        else:
            tl.store(values + target + (group - groups) * key_head + channel, x, mask=within)


def rotate_append(
    qkv_BTC: Tensor, angles: tuple[Tensor, Tensor] | None, start_B: Tensor, keys_BGSP: Tensor,
    values_BGSP: Tensor, *, heads: int,
) -> Tensor:  # fmt: skip
    """Rotated queries (B, H, T, P); keys, rotated, and values are written into a cache's columns.

    Row b's begin at column `start_B[b]`. Channels are [q, k, v], heads one after the other.
    """
    rows, tokens, _ = qkv_BTC.shape
    groups, width = keys_BGSP.shape[1], keys_BGSP.shape[3]
    assert keys_BGSP.stride() == values_BGSP.stride()
    assert keys_BGSP.stride()[2:] == (width, 1)
    # What a convolution of torch gives has its tokens next to each other.
    qkv_BTC = qkv_BTC if qkv_BTC.stride(2) == 1 else qkv_BTC.contiguous()
    q_BTHP = torch.empty(rows, tokens, heads, width, dtype=qkv_BTC.dtype, device=qkv_BTC.device)
    cos, sin = (start_B, start_B) if angles is None else angles
    half = 0 if angles is None else cos.shape[-1]
    angle_row = tokens * half if len(cos) > 1 else 0
    rotate_append_kernel[(rows * tokens, heads + 2 * groups)](
        qkv_BTC, cos, sin, start_B, q_BTHP, keys_BGSP, values_BGSP, qkv_BTC.stride(0),
        qkv_BTC.stride(1), angle_row, keys_BGSP.stride(0), keys_BGSP.stride(1), tokens, heads,
        groups, width, half, triton.next_power_of_2(width),
    )  # fmt: skip
    return q_BTHP.transpose(1, 2)


@triton.jit
def convolve_token_kernel(
    x, tail, weight, bias, out, after, x_step, channels,
    TAPS: tl.constexpr, BIASED: tl.constexpr, SILU: tl.constexpr, SIZE: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    channel = tl.program_id(1) * SIZE + tl.arange(0, SIZE)
    within = channel < channels
    total = tl.zeros((SIZE,), dtype=tl.float32)
    if BIASED:
        total += tl.load(bias + channel, mask=within, other=0.0).to(tl.float32)
    for tap in tl.static_range(TAPS):
        if tap < TAPS - 1:
            old = (row * (TAPS - 1) + tap) * channels + channel
            value = tl.load(tail + old, mask=within, other=0.0)
        else:
            value = tl.load(x + row * x_step + channel, mask=within, other=0.0)
        if tap > 0:
            kept = (row * (TAPS - 1) + tap - 1) * channels + channel
            tl.store(after + kept, value, mask=within)
        factor = tl.load(weight + channel * TAPS + tap, mask=within, other=0.0)
        total += value.to(tl.float32) * factor.to(tl.float32)
    if SILU:
        total = activated(total, 0)
    tl.store(out + row * channels + channel, total, mask=within)


def convolve_token(
    x_B1C: Tensor, tail_BJC: Tensor, weight_CK: Tensor, bias_C: Tensor | None, *, silu: bool
) -> tuple[Tensor, Tensor]:
    """The convolution of one token, (B, 1, C), and the inputs to carry on."""
    rows, _, channels = x_B1C.shape
    x_BC, tail_BJC = rows_of(x_B1C), tail_BJC.contiguous()
    out, after = _like(x_B1C), _like(tail_BJC)
    bias = weight_CK if bias_C is None else bias_C
    convolve_token_kernel[(rows, triton.cdiv(channels, BLOCK))](
        x_BC, tail_BJC, weight_CK, bias, out, after, x_BC.stride(0), channels,
        weight_CK.shape[1], bias_C is not None, silu, BLOCK,
    )  # fmt: skip
    return out, after


def rows_of(x: Tensor) -> Tensor:
    """All leading axes as one, channels next to each other; a view wherever there is one."""
    flat = x.reshape(-1, x.shape[-1])
    return flat if flat.stride(1) == 1 else flat.contiguous()


def _like(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)
