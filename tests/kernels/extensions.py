"""Stand-ins for compiled code: each refuses what the real one refuses, and computes with torch.

Transcribed from causal_conv1d.cpp of causal-conv1d 1.6.2.post1, flash_api.cpp of flash-attn 2.8.3
and what torch 2.10 says of grouped attention; beside their own checks, vectors of 16 bytes have to
be aligned, which the compiled code takes for granted.
"""

import sys
import types

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention.bias import CausalBias

from needlework.models import attending

HALVES = (torch.float16, torch.bfloat16)
FLOATS = (*HALVES, torch.float32)
VECTOR_BYTES = 16


class RefusedError(RuntimeError):
    """A call that the extension would refuse, or answer with a misaligned access."""


def need(condition: bool, words: str) -> None:
    if not condition:
        raise RefusedError(words)


def aligned(name: str, tensor: Tensor, fastest: int) -> None:
    """Every vector along the `fastest` axis begins at a multiple of 16 bytes."""
    need(tensor.data_ptr() % VECTOR_BYTES == 0, f"{name} begins within a vector")
    for axis, (size, step) in enumerate(zip(tensor.shape, tensor.stride(), strict=True)):
        if axis != fastest and size > 1:
            whole = step * tensor.element_size() % VECTOR_BYTES == 0
            need(whole, f"{name} steps by {tensor.stride()}, within a vector")


def causal_conv1d_fwd(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    seq_idx: Tensor | None,
    initial_states: Tensor | None,
    out: Tensor,
    final_states: Tensor | None,
    silu: bool,
) -> None:
    """y of a causal depthwise convolution, written into `out`; x is (batch, channels, tokens)."""
    batch, channels, _ = x.shape
    taps = weight.shape[-1]
    need(x.dtype in FLOATS and weight.dtype in FLOATS, f"{x.dtype} or {weight.dtype}")
    need(tuple(weight.shape) == (channels, taps), f"weight of shape {tuple(weight.shape)}")
    need(1 in (x.stride(2), x.stride(1)), f"strides {x.stride()}: neither axis is dense")
    need(2 <= taps <= 4, f"{taps} taps, where 2 to 4 are supported")
    channels_last = x.stride(1) == 1 and x.stride(2) > 1
    if channels_last:
        need(channels % 8 == 0, f"{channels} channels, where multiples of 8 are supported")
        strides = x.stride(0) % 8 == 0 and x.stride(2) % 8 == 0
        need(strides, f"strides {x.stride()}: batch and tokens step by multiples of 8")
        aligned("x", x, fastest=1)
        aligned("out", out, fastest=1)
    if bias is not None:
        fits = bias.dtype == weight.dtype and bias.shape == (channels,) and bias.stride(0) == 1
        need(fits, f"bias in {bias.dtype} of shape {tuple(bias.shape)}")
    if initial_states is not None:
        need(channels_last, "initial states where channels are not last")
        need(initial_states.dtype == x.dtype, f"initial states in {initial_states.dtype}")
        need(initial_states.shape == (batch, channels, taps - 1), "initial states of another shape")
        need(
            initial_states.stride(1) == 1, f"initial states with strides {initial_states.stride()}"
        )
        aligned("initial states", initial_states, fastest=1)
    need(seq_idx is None and final_states is None, "what needlework does not ask for")
    tail = x.new_zeros(batch, channels, taps - 1) if initial_states is None else initial_states
    joined = torch.cat([tail, x], dim=2).float()
    wide_bias = None if bias is None else bias.float()
    y = F.conv1d(joined, weight.float()[:, None], wide_bias, groups=channels)
    out.copy_(F.silu(y) if silu else y)


def flash_fwd(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor | None,
    alibi_slopes: Tensor | None,
    dropout: float,
    scale: float,
    causal: bool,
    window_left: int,
    window_right: int,
    softcap: float,
    return_softmax: bool,
    generator: torch.Generator | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Attention over (batch, tokens, heads, width); causal means aligned at the bottom right."""
    batch, _, heads, width = q.shape
    columns, groups = k.shape[1:3]
    need(q.dtype in HALVES, f"{q.dtype}: FlashAttention only supports fp16 and bf16")
    need(q.dtype == k.dtype == v.dtype, f"{q.dtype}, {k.dtype} and {v.dtype} together")
    need(batch > 0 and width <= 256 and width % 8 == 0, f"{batch} rows of {width} channels")
    need(heads % groups == 0, f"{heads} heads of {groups} groups")
    need(k.shape == v.shape == (batch, columns, groups, width), f"keys of shape {tuple(k.shape)}")
    for name, tensor in (("q", q), ("k", k), ("v", v)):
        need(tensor.stride(-1) == 1, f"{name} with strides {tensor.stride()}")
        aligned(name, tensor, fastest=3)
    extras = (dropout, softcap, return_softmax)
    need(extras == (0.0, 0.0, False), f"{extras}: what needlework does not ask for")
    need(causal and window_right == 0 and out is None, "queries that see later keys")
    end = torch.full((batch,), columns)
    y, scores = _seen(q, k, v, end, scale=scale, window=window_left)
    return y, scores.logsumexp(-1), q.new_empty(0), torch.zeros(2, dtype=torch.int64)


def _seen(
    q: Tensor, k: Tensor, v: Tensor, end: Tensor, *, scale: float, window: int
) -> tuple[Tensor, Tensor]:
    """What queries find, the last of row b at column `end[b] - 1`, and the scores of all pairs."""
    tokens, columns, each = q.shape[1], k.shape[1], q.shape[2] // k.shape[2]
    keys, values = (kv.float().repeat_interleave(each, dim=2) for kv in (k, v))
    scores = torch.einsum("bthp,bshp->bhts", q.float(), keys) * scale
    own = (end[:, None] - tokens + torch.arange(tokens))[:, None, :, None]
    hidden = torch.arange(columns) > own
    if window >= 0:
        hidden |= torch.arange(columns) < own - window
    scores = scores.masked_fill(hidden, float("-inf"))
    # A query without keys gives zeros, as in the compiled kernel.
    weights = scores.softmax(-1).nan_to_num(0.0)
    return torch.einsum("bhts,bshp->bthp", weights, values).to(q.dtype), scores


def flash_fwd_kvcache(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    new_k: None,
    new_v: None,
    lengths: Tensor,
    rotary_cos: None,
    rotary_sin: None,
    batch_index: None,
    left_padding: None,
    block_table: None,
    alibi_slopes: None,
    out: None,
    scale: float,
    causal: bool,
    window_left: int,
    window_right: int,
    softcap: float,
    interleaved: bool,
    splits: int,
) -> tuple[Tensor, Tensor]:
    """Attention over a cache of which row b uses the first `lengths[b]` columns."""
    batch, _, heads, width = q.shape
    columns, groups = k.shape[1:3]
    need(q.dtype in HALVES, f"{q.dtype}: FlashAttention only supports fp16 and bf16")
    need(q.dtype == k.dtype == v.dtype, f"{q.dtype}, {k.dtype} and {v.dtype} together")
    need(batch > 0 and width <= 256, f"{batch} rows of {width} channels")
    need(heads % groups == 0, f"{heads} heads of {groups} groups")
    need(k.shape == v.shape == (batch, columns, groups, width), f"keys of shape {tuple(k.shape)}")
    fits = lengths.dtype is torch.int32 and lengths.shape == (batch,) and lengths.is_contiguous()
    need(fits, f"lengths in {lengths.dtype} of shape {tuple(lengths.shape)}")
    need(int(lengths.max()) <= columns, "rows longer than the cache")
    for name, tensor in (("q", q), ("k", k), ("v", v)):
        need(tensor.stride(-1) == 1, f"{name} with strides {tensor.stride()}")
        if width % 8 == 0:  # Else it is copied to a width that is.
            aligned(name, tensor, fastest=3)
    extras = (new_k, new_v, rotary_cos, rotary_sin, batch_index, left_padding, block_table)
    need(
        not any(each is not None for each in (*extras, alibi_slopes, out)), "what is not asked for"
    )
    need(softcap == 0.0 and splits == 0 and interleaved, "settings that are not asked for")
    need(causal and window_right == 0, "queries that see later keys")
    y, scores = _seen(q, k, v, lengths.long(), scale=scale, window=window_left)
    return y, scores.logsumexp(-1)


_attend = F.scaled_dot_product_attention


def attention_of_cuda(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    attn_mask: Tensor | None,
    is_causal: bool,
    enable_gqa: bool,
) -> Tensor:
    """torch's attention, where it has a kernel for CUDA that writes no float32 scores down.

    Sharing keys among heads works with the FlashAttention inside torch, which knows half precision,
    256 channels and no mask, and with the math kernel; the one for masks takes a key per head. A
    bias that is causal from the lower right is no mask: two of the kernels know it by itself.
    """
    flash = attn_mask is None and q.dtype in HALVES and q.shape[-1] <= 256
    need(flash or not enable_gqa, "grouped attention falls to torch's math kernel")
    need(enable_gqa or q.shape[1] == k.shape[1], "another number of keys than of queries")
    need(q.stride(-1) == k.stride(-1) == v.stride(-1) == 1, "channels are not the fastest axis")
    if isinstance(attn_mask, CausalBias):
        attn_mask = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool)
        attn_mask = attn_mask.tril(k.shape[2] - q.shape[2])
    elif attn_mask is not None:
        small = attn_mask.shape[-2] == 1 or attn_mask.numel() <= attending.MASKED_PAIRS
        need(small, f"a mask of {tuple(attn_mask.shape)}")
        need(bool(attn_mask.any(dim=-1).all()), "a query that sees nothing, which may give NaN")
    return _attend(q, k, v, attn_mask=attn_mask, is_causal=is_causal, enable_gqa=enable_gqa)


def install() -> None:
    """Put the stand-ins where the packages import their compiled halves from."""
    convolution = types.ModuleType("causal_conv1d_cuda")
    convolution.causal_conv1d_fwd = causal_conv1d_fwd
    convolution.causal_conv1d_bwd = convolution.causal_conv1d_update = None
    flash = types.ModuleType("flash_attn_2_cuda")
    flash.fwd = flash_fwd
    flash.fwd_kvcache = flash_fwd_kvcache
    sys.modules |= {module.__name__: module for module in (convolution, flash)}
    from flash_attn import flash_attn_interface

    # Its operator is registered for CUDA alone: the function behind it is called instead.
    flash_attn_interface._wrapped_flash_attn_forward = (
        flash_attn_interface._flash_attn_forward._init_fn
    )
