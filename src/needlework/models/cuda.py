"""Adapters to the CUDA kernel packages; called only where `kernels` chose them.

A package is imported at the first call, so a machine without it can import this module. Each
function has the contract of the torch one of the same name.

Not yet run on a GPU.
"""

# Shapes: B batch, T tokens, H heads, G groups, P channels per head, N state channels, E width,
# K = V channels per head (RWKV), C convolution channels, J inputs carried, S cached columns,
# L tokens per chunk, R rows of chunks.
from typing import NamedTuple, cast

import torch
from torch import Tensor

from needlework.models.padding import in_chunks

SHORT = 64
"""Tokens up to which a recurrence step by step beats its chunked form."""
SCANNED_TOKENS = 128
"""Tokens the diagonal recurrence takes one by one; longer sequences are cut, side by side."""
VECTOR_CHANNELS, VECTOR_BYTES = 8, 16
"""What causal-conv1d loads at once."""
CONVOLVED_TAPS = range(2, 5)
WIDEST_HEAD = 256
"""Channels per head that flash-attn has a kernel for."""
WIDENS = hasattr(torch.ops.aten.bmm, "dtype")
"""Whether this torch can give a product of half precision in float32; 2.7 cannot."""


def attends(head_width: int, dtype: torch.dtype) -> bool:
    """Whether flash-attn takes heads of this width and dtype."""
    return head_width <= WIDEST_HEAD and dtype in (torch.float16, torch.bfloat16)


def attention(q_BHTP: Tensor, k_BGSP: Tensor, v_BGSP: Tensor, *, window: int | None) -> Tensor:
    """flash-attn for rows whose last query sees the last column, and at most `window` of them.

    It expects heads after tokens and shares keys among heads by itself.
    """
    from flash_attn import flash_attn_func

    q, k, v = (tensor.transpose(1, 2) for tensor in (q_BHTP, k_BGSP, v_BGSP))
    found = flash_attn_func(q, k, v, causal=True, window_size=_window(window))
    return cast(Tensor, found).transpose(1, 2)


def attention_of_rows(
    q_BHTP: Tensor, k_BGSP: Tensor, v_BGSP: Tensor, length_B: Tensor, *, window: int | None
) -> Tensor:
    """The same where the last query of row b stands at column `length_B[b] - 1`."""
    from flash_attn import flash_attn_with_kvcache

    q, k, v = (tensor.transpose(1, 2) for tensor in (q_BHTP, k_BGSP, v_BGSP))
    lengths = length_B.to(torch.int32)
    found = flash_attn_with_kvcache(
        q, k, v, cache_seqlens=lengths, causal=True, window_size=_window(window)
    )
    return cast(Tensor, found).transpose(1, 2)


def _window(keys: int | None) -> tuple[int, int]:
    """Keys to the left of a query's own and to its right; -1 for all of them."""
    return (-1, 0) if keys is None else (keys - 1, 0)


def convolves(channels: int, taps: int) -> bool:
    """Whether causal-conv1d takes a convolution of this size in the layout our mixers have."""
    return channels % VECTOR_CHANNELS == 0 and taps in CONVOLVED_TAPS


def convolution(
    x_BTC: Tensor, tail_BJC: Tensor, weight_CK: Tensor, bias_C: Tensor | None, *, silu: bool
) -> Tensor:
    """causal-conv1d, which expects channels before tokens in memory order of the tokens."""
    from causal_conv1d import causal_conv1d_fn

    y_BCT = causal_conv1d_fn(
        _in_vectors(x_BTC).transpose(1, 2),
        weight_CK,
        bias_C,
        initial_states=_in_vectors(tail_BJC).transpose(1, 2),
        activation="silu" if silu else None,
    )
    return cast(Tensor, y_BCT).transpose(1, 2)


def _in_vectors(x_BTC: Tensor) -> Tensor:
    """The same numbers where every token's channels lie as whole vectors, copied if need be.

    A slice of a projection may begin, or step from token to token, in the middle of one. A copy is
    asked for by its layout: `contiguous()` keeps whatever stride an axis of one token has.
    """
    rows, tokens, channels = x_BTC.stride()
    whole = all(step > 0 and step % VECTOR_CHANNELS == 0 for step in (rows, tokens))
    if whole and channels == 1 and x_BTC.data_ptr() % VECTOR_BYTES == 0:
        return x_BTC
    return x_BTC.clone(memory_format=torch.contiguous_format)


class Steps(NamedTuple):
    """How long the steps of a selective scan are, softplus(raw + bias), and what skips it."""

    raw_BTH: Tensor
    """In any dtype; minus infinity where there is no step."""
    bias_H: Tensor
    skip_H: Tensor


def selective_scan(
    x_BTHP: Tensor,
    steps: Steps,
    rate_H: Tensor,
    write_BTGN: Tensor,
    read_BTGN: Tensor,
    state_BHPN: Tensor,
    *,
    chunk: int,
    in_place: bool = False,
) -> tuple[Tensor, Tensor]:
    """mamba-ssm: chunks for prompts; single tokens update a state in place, or a copy of it.

    Inputs are multiplied as they come, half precision as such; decays, sums and the state are
    float32. Outputs, in the dtype of the inputs, include what skips the scan.
    """
    if x_BTHP.shape[1] == 1:
        if not in_place:
            state_BHPN = state_BHPN.clone()
        first = steps._replace(raw_BTH=steps.raw_BTH[:, 0])
        y_BHP = _selective_step(
            x_BTHP[:, 0], first, rate_H, write_BTGN[:, 0], read_BTGN[:, 0], state_BHPN
        )
        return y_BHP[:, None], state_BHPN
    from mamba_ssm.ops.triton.ssd_combined import mamba_chunk_scan_combined

    y_BTHP, state_BHPN = mamba_chunk_scan_combined(
        x_BTHP,
        steps.raw_BTH,
        rate_H,
        write_BTGN,
        read_BTGN,
        chunk_size=chunk,
        D=steps.skip_H,
        dt_bias=steps.bias_H,
        dt_softplus=True,
        initial_states=state_BHPN,
        return_final_states=True,
    )
    return y_BTHP, state_BHPN


def _selective_step(
    x_BHP: Tensor,
    steps: Steps,
    rate_H: Tensor,
    write_BGN: Tensor,
    read_BGN: Tensor,
    state_BHPN: Tensor,
) -> Tensor:
    """One token; the state is overwritten."""
    from mamba_ssm.ops.triton.selective_state_update import selective_state_update

    # Expanded, step and rate take the branch with one decay per head.
    heads = x_BHP.shape[1:]
    found = selective_state_update(
        state_BHPN,
        x_BHP,
        steps.raw_BTH[..., None].expand_as(x_BHP),
        rate_H[:, None, None].expand_as(state_BHPN[0]),
        write_BGN,
        read_BGN,
        D=steps.skip_H[:, None].expand(heads),
        dt_bias=steps.bias_H[:, None].expand(heads),
        dt_softplus=True,
    )
    return cast(Tensor, found)


def gated_norm(x: Tensor, gate: Tensor, weight_D: Tensor, *, eps: float, groups: int) -> Tensor:
    """mamba-ssm: x * silu(gate) over its root mean square, each group for itself."""
    from mamba_ssm.ops.triton.layernorm_gated import rmsnorm_fn

    width = x.shape[-1] // groups
    found = rmsnorm_fn(x, weight_D, None, z=gate, eps=eps, group_size=width, norm_before_gate=False)
    return cast(Tensor, found).to(weight_D.dtype)


def wide_products(left: Tensor, right: Tensor) -> Tensor:
    """Batched matrix products in float32 of factors in any dtype, which are not converted.

    Products of half precision are exact in float32, so widened factors give the same but for the
    order of sums; they are widened elsewhere than on CUDA, and by a torch that knows no better.
    """
    if not WIDENS or left.dtype is torch.float32 or left.device.type not in ("cuda", "meta"):
        return left.float() @ right.float()
    return torch.bmm(left, right, out_dtype=torch.float32)


def diagonal_scan(
    log_decay_BTE: Tensor, input_BTE: Tensor, state_BE: Tensor
) -> tuple[Tensor, Tensor]:
    """fla-core's HGRN recurrence, h = exp(g) h + x, in float32, one token after the other.

    A long sequence is cut into chunks that are scanned side by side, twice: from zero for what each
    adds to its last token; then, those ends scanned in their turn, from what came before it. Its
    own chunked form is never called: it hands a chunk's last row to the next through global memory
    without a barrier, so whatever is older than one chunk may be lost.
    """
    tokens = input_BTE.shape[1]
    if tokens <= SCANNED_TOKENS:
        return _hgrn(log_decay_BTE, input_BTE, state_BE)
    # Filled up with a log decay and an input of zero, which leave a state as it is.
    decay_BCLE = in_chunks(log_decay_BTE, SCANNED_TOKENS)
    decay_RLE = decay_BCLE.flatten(0, 1)
    input_RLE = in_chunks(input_BTE, SCANNED_TOKENS).flatten(0, 1)
    added_RE = _hgrn(decay_RLE, input_RLE, torch.zeros_like(input_RLE[:, 0]))[1]
    added_BCE = added_RE.view(len(input_BTE), -1, input_BTE.shape[2])
    ends_BCE, last_BE = diagonal_scan(decay_BCLE.sum(dim=2), added_BCE, state_BE)
    before_BCE = torch.cat([state_BE[:, None], ends_BCE[:, :-1]], dim=1)
    h_RLE, _ = _hgrn(decay_RLE, input_RLE, before_BCE.flatten(0, 1))
    return h_RLE.view(*decay_BCLE.shape).flatten(1, 2)[:, :tokens], last_BE


def _hgrn(log_decay_BTE: Tensor, input_BTE: Tensor, state_BE: Tensor) -> tuple[Tensor, Tensor]:
    from fla.ops.hgrn import fused_recurrent_hgrn

    h_BTE, state_BE = fused_recurrent_hgrn(
        input_BTE, log_decay_BTE, initial_state=state_BE, output_final_state=True
    )
    return h_BTE, state_BE


def weighted_key_values(
    r_BTHK: Tensor,
    k_BTHK: Tensor,
    v_BTHV: Tensor,
    log_decay_BTHK: Tensor,
    bonus_HK: Tensor,
    state_BHKV: Tensor,
    *,
    chunk: int,
) -> tuple[Tensor, Tensor]:
    """fla-core's RWKV-6, whose queries are scaled unless told otherwise; it chooses its chunks."""
    from fla.ops.rwkv6 import chunk_rwkv6, fused_recurrent_rwkv6

    del chunk
    run = fused_recurrent_rwkv6 if r_BTHK.shape[1] <= SHORT else chunk_rwkv6
    o_BTHV, state_BHKV = run(
        r_BTHK,
        k_BTHK,
        v_BTHV,
        log_decay_BTHK,
        bonus_HK,
        scale=1.0,
        initial_state=state_BHKV,
        output_final_state=True,
    )
    return o_BTHV, state_BHKV
