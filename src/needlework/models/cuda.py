"""How the CUDA packages want to be called; only entered where `kernels` chose them.

Knows argument orders and layouts; imports a package at the first call, so a machine without it
never notices. Each function has the contract of the torch one of the same name.

Not yet run on a GPU.
"""

# Shapes: B batch, T tokens, H heads, G groups, P channels per head, N state channels, E width,
# K = V channels per head (RWKV), C convolution channels, J inputs carried, S cached columns.
from typing import cast

from torch import Tensor

SHORT = 64
"""Tokens up to which a recurrence step by step beats its chunked form."""


def attention(q_BHTP: Tensor, k_BGSP: Tensor, v_BGSP: Tensor, *, causal: bool) -> Tensor:
    """flash-attn, which wants heads behind tokens and shares keys among heads by itself."""
    from flash_attn import flash_attn_func

    q, k, v = (tensor.transpose(1, 2) for tensor in (q_BHTP, k_BGSP, v_BGSP))
    return cast(Tensor, flash_attn_func(q, k, v, causal=causal)).transpose(1, 2)


def convolution(x_BTC: Tensor, tail_BJC: Tensor, weight_CK: Tensor, bias_C: Tensor) -> Tensor:
    """causal-conv1d, which wants channels before tokens in memory order of the tokens."""
    from causal_conv1d import causal_conv1d_fn

    y_BCT = causal_conv1d_fn(
        x_BTC.transpose(1, 2),
        weight_CK,
        bias_C,
        # Their layout check asks for channels as the fastest axis.
        initial_states=tail_BJC.contiguous().transpose(1, 2),
    )
    return cast(Tensor, y_BCT).transpose(1, 2)


def selective_scan(
    x_BTHP: Tensor,
    step_BTH: Tensor,
    rate_H: Tensor,
    write_BTGN: Tensor,
    read_BTGN: Tensor,
    state_BHPN: Tensor,
    *,
    chunk: int,
) -> tuple[Tensor, Tensor]:
    """mamba-ssm: chunks for prompts; single tokens update a state in place, so on a copy."""
    if x_BTHP.shape[1] == 1:
        from mamba_ssm.ops.triton.selective_state_update import selective_state_update

        state_BHPN = state_BHPN.clone()
        y_BHP = selective_state_update(
            state_BHPN,
            x_BTHP[:, 0],
            step_BTH[:, 0, :, None].expand_as(x_BTHP[:, 0]),
            rate_H[:, None, None].expand_as(state_BHPN[0]),
            write_BTGN[:, 0],
            read_BTGN[:, 0],
        )
        return y_BHP[:, None], state_BHPN
    from mamba_ssm.ops.triton.ssd_combined import mamba_chunk_scan_combined

    y_BTHP, state_BHPN = mamba_chunk_scan_combined(
        x_BTHP,
        step_BTH,
        rate_H,
        write_BTGN,
        read_BTGN,
        chunk_size=chunk,
        initial_states=state_BHPN,
        return_final_states=True,
    )
    return y_BTHP, state_BHPN


def diagonal_scan(
    log_decay_BTE: Tensor, input_BTE: Tensor, state_BE: Tensor
) -> tuple[Tensor, Tensor]:
    """fla-core's HGRN recurrence, h = exp(g) h + x, in float32."""
    from fla.ops.hgrn import chunk_hgrn, fused_recurrent_hgrn

    run = fused_recurrent_hgrn if input_BTE.shape[1] <= SHORT else chunk_hgrn
    h_BTE, state_BE = run(input_BTE, log_decay_BTE, initial_state=state_BE, output_final_state=True)
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
