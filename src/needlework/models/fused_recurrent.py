"""Triton kernels of our own for what recurrences need around them; see `fused.py`.

Not yet run on a GPU.
"""

# Shapes: B batch, T tokens, N tokens of all rows, D width, E recurrent width, H heads, M mixed
# inputs, K = V channels per head (RWKV), or blocks of I / 2 channels (RG-LRU).
import torch
import triton
import triton.language as tl
from torch import Tensor

from needlework.models.fused import BLOCK, rows_of

NARROWEST = 16
"""Channels of a head's tile: of a smaller one, several warps would hold the same numbers, and one
could overwrite a state that another has yet to read."""


@triton.jit
def mix_kernel(
    x, last, mix, learnt, out, tokens, width,
    MIXED: tl.constexpr, LEARNT: tl.constexpr, SIZE: tl.constexpr,
):  # fmt: skip
    place = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * SIZE + tl.arange(0, SIZE)
    within = column < width
    own = tl.load(x + place * width + column, mask=within, other=0.0).to(tl.float32)
    if place % tokens == 0:
        before = tl.load(last + place // tokens * width + column, mask=within, other=0.0)
    else:
        before = tl.load(x + (place - 1) * width + column, mask=within, other=0.0)
    difference = before.to(tl.float32) - own
    for index in tl.static_range(MIXED):
        share = tl.load(mix + index * width + column, mask=within, other=0.0).to(tl.float32)
        at = (place + index * tl.num_programs(0)) * width + column
        if LEARNT:
            share += tl.load(learnt + at, mask=within, other=0.0).to(tl.float32)
        tl.store(out + at, own + difference * share, mask=within)


def mix(x_BTD: Tensor, last_BD: Tensor, mix_MD: Tensor, learnt_MND: Tensor | None) -> Tensor:
    """x_t + (x_{t-1} - x_t) (mix + learnt), each of M mixes: (M, B, T, D)."""
    rows, tokens, width = x_BTD.shape
    x_BTD, last_BD = x_BTD.contiguous(), last_BD.contiguous()
    out = torch.empty(len(mix_MD), rows, tokens, width, dtype=x_BTD.dtype, device=x_BTD.device)
    learnt = mix_MD if learnt_MND is None else learnt_MND.contiguous()
    mix_kernel[(rows * tokens, triton.cdiv(width, BLOCK))](
        x_BTD, last_BD, mix_MD.contiguous(), learnt, out, tokens, width, len(mix_MD),
        learnt_MND is not None, BLOCK,
    )  # fmt: skip
    return out


@triton.jit
def decay_kernel(low, base, out, width, SIZE: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * SIZE + tl.arange(0, SIZE)
    within = column < width
    value = tl.load(low + row * width + column, mask=within, other=0.0).to(tl.float32)
    value += tl.load(base + column, mask=within, other=0.0)
    tl.store(out + row * width + column, -tl.exp(value), mask=within)


def log_decay(low_BTD: Tensor, base_D: Tensor) -> Tensor:
    """-exp(base + low), (B, T, D) in float32."""
    low = low_BTD.contiguous()
    width = low.shape[-1]
    out = torch.empty(low.shape, dtype=torch.float32, device=low.device)
    grid = (low.numel() // width, triton.cdiv(width, BLOCK))
    decay_kernel[grid](low, base_D, out, width, BLOCK)
    return out


@triton.jit
def _normed_and_gated(value, gate, weight, bias, width, eps, within):
    value = tl.where(within, value - tl.sum(value, 0) / width, 0.0)
    value = value / tl.sqrt(tl.sum(value * value, 0) / width + eps) * weight + bias
    return value * gate * tl.sigmoid(gate)


@triton.jit
def head_norm_gate_kernel(
    x, gate, weight, bias, out, gate_step, heads, width, eps, SIZE: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1)
    channel = tl.arange(0, SIZE)
    within = channel < width
    at = head * width + channel
    value = tl.load(x + row * heads * width + at, mask=within, other=0.0).to(tl.float32)
    g = tl.load(gate + row * gate_step + at, mask=within, other=0.0).to(tl.float32)
    w = tl.load(weight + at, mask=within, other=0.0).to(tl.float32)
    b = tl.load(bias + at, mask=within, other=0.0).to(tl.float32)
    result = _normed_and_gated(value, g, w, b, width, eps, within)
    tl.store(out + row * heads * width + at, result, mask=within)


def head_norm_gate(
    x_BTHV: Tensor, gate_BTD: Tensor, weight_D: Tensor, bias_D: Tensor, *, eps: float
) -> Tensor:
    """Every head normalised for itself, times silu(gate): (B, T, H V) in the gate's dtype."""
    heads, width = x_BTHV.shape[2:]
    x, gates = x_BTHV.contiguous(), rows_of(gate_BTD)
    out = torch.empty(gate_BTD.shape, dtype=gate_BTD.dtype, device=gate_BTD.device)
    head_norm_gate_kernel[(len(gates), heads)](
        x, gates, weight_D, bias_D, out, gates.stride(0), heads, width, eps,
        triton.next_power_of_2(width),
    )  # fmt: skip
    return out


@triton.jit
def lru_gates_kernel(
    u, mapped, bias, rate, position, log_decay, inputs, tokens, width, block, u_step, block_step,
    SIZE: tl.constexpr,
):  # fmt: skip
    place = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * SIZE + tl.arange(0, SIZE)
    within = column < width
    value = tl.load(u + place * u_step + column, mask=within, other=0.0).to(tl.float32)
    # Of a block and token, the products of the input gate stand before those of the decay's.
    at = (column // block).to(tl.int64) * block_step + place * 2 * block + column % block
    own = column // block * 2 * block + column % block
    admit = tl.load(mapped + at, mask=within, other=0.0).to(tl.float32)
    admit += tl.load(bias + own, mask=within, other=0.0).to(tl.float32)
    forget = tl.load(mapped + at + block, mask=within, other=0.0).to(tl.float32)
    forget += tl.load(bias + own + block, mask=within, other=0.0).to(tl.float32)
    log_a = tl.load(rate + column, mask=within, other=0.0) * tl.sigmoid(forget)
    double = 2.0 * log_a
    # 1 - exp(x) near 0 by its series: exp alone would lose the digits.
    series = -double * (1.0 + double * (0.5 + double * (1.0 / 6 + double * (1.0 / 24))))
    scale = tl.sqrt(tl.where(double > -0.03, series, 1.0 - tl.exp(double)))
    token = tl.load(position + place // tokens) + place % tokens
    scale = tl.where(token == 0, 1.0, scale)
    tl.store(log_decay + place * width + column, log_a, mask=within)
    tl.store(inputs + place * width + column, scale * tl.sigmoid(admit) * value, mask=within)


def lru_gates(
    u_BTE: Tensor, mapped_KNI: Tensor, bias_KI: Tensor, rate_E: Tensor, position_B: Tensor
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """log a = rate sigmoid(forget), and sqrt(1 - a^2) sigmoid(admit) u; both in float32.

    A block's last axis has the products of the input gate, then those of the decay's.
    """
    rows, tokens, width = u_BTE.shape
    us = rows_of(u_BTE)
    found = [torch.empty(u_BTE.shape, dtype=torch.float32, device=us.device) for _ in range(2)]
    lru_gates_kernel[(rows * tokens, triton.cdiv(width, BLOCK))](
        us, mapped_KNI, bias_KI, rate_E, position_B, *found, tokens, width, width // len(bias_KI),
        us.stride(0), mapped_KNI.stride(0), BLOCK,
    )  # fmt: skip
    return found[0], found[1]


@triton.jit
def write_token_kernel(
    r, k, v, log_decay, bonus, gate, weight, bias, state, after, out, gate_step, heads, width, eps,
    SIZE: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1)
    channel = tl.arange(0, SIZE)
    within = channel < width
    own = head * width + channel
    at = row * heads * width + own
    r_K = tl.load(r + at, mask=within, other=0.0).to(tl.float32)
    k_K = tl.load(k + at, mask=within, other=0.0).to(tl.float32)
    v_V = tl.load(v + at, mask=within, other=0.0).to(tl.float32)
    decay_K = tl.exp(tl.load(log_decay + at, mask=within, other=0.0))
    u_K = tl.load(bonus + own, mask=within, other=0.0)
    pair = within[:, None] & within[None, :]
    place = (row * heads + head) * width * width + channel[:, None] * width + channel[None, :]
    state_KV = tl.load(state + place, mask=pair, other=0.0)
    added_KV = k_K[:, None] * v_V[None, :]
    o_V = tl.sum(r_K[:, None] * (state_KV + u_K[:, None] * added_KV), 0)
    tl.store(after + place, decay_K[:, None] * state_KV + added_KV, mask=pair)
    g = tl.load(gate + row * gate_step + own, mask=within, other=0.0).to(tl.float32)
    w = tl.load(weight + own, mask=within, other=0.0).to(tl.float32)
    b = tl.load(bias + own, mask=within, other=0.0).to(tl.float32)
    tl.store(out + at, _normed_and_gated(o_V, g, w, b, width, eps, within), mask=within)


def write_token(
    r_B1HK: Tensor, k_B1HK: Tensor, v_B1HV: Tensor, log_decay_B1HK: Tensor, bonus_HK: Tensor,
    gate_B1D: Tensor, weight_D: Tensor, bias_D: Tensor, state_BHKV: Tensor, *, eps: float,
    in_place: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """One token of WKV6, normalised head by head and gated, (B, 1, D), and the state after it."""
    rows, _, heads, width = r_B1HK.shape
    given = [each.contiguous() for each in (r_B1HK, k_B1HK, v_B1HV, log_decay_B1HK, bonus_HK)]
    state_BHKV = state_BHKV.contiguous()
    after = state_BHKV if in_place else torch.empty_like(state_BHKV)
    gates = rows_of(gate_B1D)
    out = torch.empty(gate_B1D.shape, dtype=gate_B1D.dtype, device=gate_B1D.device)
    write_token_kernel[(rows, heads)](
        *given, gates, weight_D, bias_D, state_BHKV, after, out, gates.stride(0), heads, width,
        eps, max(NARROWEST, triton.next_power_of_2(width)),
    )  # fmt: skip
    return out, after
