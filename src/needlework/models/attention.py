"""Softmax attention with carried keys and values: grouped, windowed, partly rotated, convolved."""

# Shapes: B batch, T tokens, D width, H heads, G key/value heads, P channels per head,
# S cached columns, R queries of a group, C channels of q, k and v together,
# J inputs the convolution carries.
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self, TypedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from needlework.models import config, cuda, kernels
from needlework.models.convolution import CausalConvolution, last_valid
from needlework.models.mixer import Mixer
from needlework.models.padding import last_token
from needlework.models.rotary import rotate, rotation
from needlework.models.state import KeyValueState, RowState, extent

HALF = (torch.bfloat16, torch.float16)
"""Numbers of 16 bits, in which torch on a CPU has no fast product of a vector and a matrix."""


@dataclass(frozen=True)
class ConvolutionTail(RowState):
    """The last inputs of a convolution and, for one hazard, its last outputs; else empty."""

    tail_BJC: Tensor
    outputs_BJC: Tensor


@dataclass(frozen=True)
class AttentionState:
    """Keys and values of the tokens so far and, behind a convolution, its last inputs."""

    cache: KeyValueState
    tail: ConvolutionTail

    def fork(self, copies: int) -> Self:
        """Each row `copies` times, copies of a row next to each other."""
        return type(self)(self.cache.fork(copies), self.tail.fork(copies))

    def select(self, rows: Tensor) -> Self:
        """The rows with these indices, in this order."""
        return type(self)(self.cache.select(rows), self.tail.select(rows))

    def after_prompt(self) -> Self:
        """The state from which mamba_ssm 2.0.0 to 2.3.2 starts to answer (hazard m2a-conv-state).

        Its prefill saves what the convolution has given, where decoding expects what it was given.
        """
        if not self.tail.outputs_BJC.numel():
            return self
        return replace(self, tail=replace(self.tail, tail_BJC=self.tail.outputs_BJC))

    @classmethod
    def stack(cls, states: Sequence[Self]) -> Self:
        """The rows of all `states`, one after the other."""
        cache = KeyValueState.stack([state.cache for state in states])
        return cls(cache, ConvolutionTail.stack([state.tail for state in states]))

    @property
    def bytes(self) -> int:
        """Memory, in bytes."""
        return self.cache.bytes + self.tail.bytes


class Visible(TypedDict):
    """The mask argument of `scaled_dot_product_attention`: what a query sees."""

    attn_mask: Tensor | None
    is_causal: bool


class Attention(Mixer[AttentionState]):
    """Queries see the keys of their own row, up to and including their own token.

    Rows of `project_in` are [q, k, v], heads one after the other.
    """

    def __init__(self, width: int, spec: config.Attention) -> None:
        super().__init__()
        self.spec = spec
        channels = (spec.heads + 2 * spec.kv_heads) * spec.head_width
        self.project_in = nn.Linear(width, channels, bias=spec.qkv_bias)
        self.project_out = nn.Linear(spec.heads * spec.head_width, width, bias=spec.output_bias)
        self.convolution = (
            CausalConvolution(channels, spec.convolution) if spec.convolution else None
        )

    def init_state(self, batch: int) -> AttentionState:
        """No tokens read yet."""
        like = self.project_in.weight
        cache = KeyValueState.empty(batch, self.spec.kv_heads, self.spec.head_width, like)
        tail = self.convolution.init_tail(batch) if self.convolution else like.new_zeros(batch, 0)
        outputs = tail if self.spec.convolved_tail else like.new_zeros(batch, 0)
        return AttentionState(cache, ConvolutionTail(tail, outputs))

    def forward(
        self, x_BTD: Tensor, state: AttentionState, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, AttentionState]:
        """Attend from T new tokens to everything read so far."""
        q_BHTP, k_BGTP, v_BGTP, tail = self._project(x_BTD, state, lengths_B)
        if self._reads_shifted(x_BTD, state):
            y_BHTP, cache = self._attend_shifted(q_BHTP, k_BGTP, v_BGTP, state.cache, lengths_B)
        else:
            cache = state.cache.append(k_BGTP, v_BGTP, lengths_B, self.spec.window)
            visible = self._visible(state.cache, cache, q_BHTP.shape[2], lengths_B)
            y_BHTP = self._attend(q_BHTP, cache.keys_BHSP, cache.values_BHSP, visible)
        return self.project_out(y_BHTP.transpose(1, 2).flatten(2)), AttentionState(cache, tail)

    def read(
        self, x_BTD: Tensor, state: AttentionState, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, AttentionState]:
        """Attend from the last tokens alone."""
        if self._reads_shifted(x_BTD, state):
            return super().read(x_BTD, state, lengths_B)
        q_BHTP, k_BGTP, v_BGTP, tail = self._project(x_BTD, state, lengths_B)
        cache = state.cache.append(k_BGTP, v_BGTP, lengths_B, self.spec.window)
        q_BH1P = last_token(q_BHTP.transpose(1, 2), lengths_B).transpose(1, 2)
        visible = self._visible(state.cache, cache, 1, None)
        y_BH1P = self._attend(q_BH1P, cache.keys_BHSP, cache.values_BHSP, visible)
        return self.project_out(y_BH1P.transpose(1, 2).flatten(2)), AttentionState(cache, tail)

    def _reads_shifted(self, x_BTD: Tensor, state: AttentionState) -> bool:
        return self.spec.shifted_window and state.cache.longest == 0 and x_BTD.shape[1] > 1

    def _project(
        self, x_BTD: Tensor, state: AttentionState, lengths_B: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, ConvolutionTail]:
        """Queries, keys and values of the new tokens, and what a convolution carries on."""
        qkv_BTC = self.project_in(x_BTD)
        tail = state.tail
        if self.convolution:
            qkv_BTC, inputs = self.convolution(qkv_BTC, tail.tail_BJC, lengths_B)
            outputs = tail.outputs_BJC
            if self.spec.convolved_tail:
                joined = torch.cat([outputs, qkv_BTC], dim=1)
                outputs = last_valid(joined, outputs.shape[1], lengths_B)
            tail = ConvolutionTail(inputs, outputs)
        return *self._heads(qkv_BTC, state.cache), tail

    def _heads(self, qkv_BTC: Tensor, cache: KeyValueState) -> tuple[Tensor, Tensor, Tensor]:
        """Split into heads and rotate queries and keys."""
        spec, tokens = self.spec, qkv_BTC.shape[1]
        heads = torch.unflatten(qkv_BTC, 2, (-1, spec.head_width)).transpose(1, 2)
        # Queries and keys turn by the same angles: one rotation serves both.
        qk, v = torch.split(heads, [spec.heads + spec.kv_heads, spec.kv_heads], dim=1)
        if spec.rotary_width:
            # Rows that have read equally many tokens share one row of angles.
            start = cache.position_B[:1] if cache.uniform else cache.position_B
            position_BT = start[:, None] + torch.arange(tokens, device=start.device)
            cos, sin = rotation(
                position_BT,
                width=spec.rotary_width,
                base=spec.rotary_base,
                divisors=spec.rotary_divisors,
            )
            qk = rotate(qk, cos, sin)
        q, k = torch.split(qk, [spec.heads, spec.kv_heads], dim=1)
        return q, k, v

    def _attend(self, q_BHTP: Tensor, k_BGSP: Tensor, v_BGSP: Tensor, visible: Visible) -> Tensor:
        fused = visible["attn_mask"] is None and cuda.attends(self.spec.head_width, q_BHTP.dtype)
        if fused and kernels.chosen("attention", q_BHTP.device, q_BHTP.dtype) != kernels.TORCH:
            return cuda.attention(q_BHTP, k_BGSP, v_BGSP, causal=visible["is_causal"])
        grouped = self.spec.heads != self.spec.kv_heads
        if grouped and not fused and kernels.accelerated(q_BHTP.device):
            # On CUDA torch's kernel for masks wants a key for every head; told to share keys, torch
            # falls back to one that writes the scores of all pairs down in float32.
            k_BGSP, v_BGSP = (for_every_head(each, self.spec.heads) for each in (k_BGSP, v_BGSP))
            grouped = False
        if q_BHTP.shape[2] == 1 and q_BHTP.dtype in HALF and q_BHTP.device.type == "cpu":
            return from_one_token(q_BHTP, k_BGSP, v_BGSP, visible["attn_mask"])
        return F.scaled_dot_product_attention(q_BHTP, k_BGSP, v_BGSP, **visible, enable_gqa=grouped)

    def _attend_shifted(
        self,
        q_BHTP: Tensor,
        k_BGTP: Tensor,
        v_BGTP: Tensor,
        cache: KeyValueState,
        lengths_B: Tensor | None,
    ) -> tuple[Tensor, KeyValueState]:
        """A whole prompt as transformers 4.41.2 to 5.3.0 read it (hazard rg-window).

        The keys are cut to the last window, the causal mask to its first columns and has no window:
        token t sees column s <= t, which past the window holds a key of its own future.
        """
        assert self.spec.window is not None
        tokens = q_BHTP.shape[2]
        column_S = torch.arange(min(self.spec.window, tokens), device=q_BHTP.device)
        end_B = torch.full_like(cache.length_B, tokens) if lengths_B is None else lengths_B
        start_B = (end_B - self.spec.window).clamp(min=0)
        index = (start_B[:, None] + column_S)[:, None, :, None].expand(
            -1, k_BGTP.shape[1], -1, k_BGTP.shape[3]
        )
        keys, values = k_BGTP.gather(2, index), v_BGTP.gather(2, index)
        mask_TS = column_S <= torch.arange(tokens, device=column_S.device)[:, None]
        y_BHTP = self._attend(q_BHTP, keys, values, {"attn_mask": mask_TS, "is_causal": False})
        kept_B = end_B.clamp(max=self.spec.window)
        after = cache.append(keys, values, kept_B, self.spec.window)
        position_B = cache.position_B + end_B
        _, uniform = extent(after.length_B, position_B)
        return y_BHTP, replace(after, position_B=position_B, uniform=uniform)

    def _visible(
        self, before: KeyValueState, after: KeyValueState, tokens: int, lengths_B: Tensor | None
    ) -> Visible:
        """Which columns each query sees, in the cheapest form that says it."""
        window = self.spec.window or after.longest
        if after.longest <= window:
            if before.longest == 0 and tokens > 1:
                return {"attn_mask": None, "is_causal": True}
            if tokens == 1 and after.uniform:
                return {"attn_mask": None, "is_causal": False}
        rows = slice(0, 1) if after.uniform and lengths_B is None else slice(None)
        end_B = after.length_B[rows]
        start_B = end_B - (tokens if lengths_B is None else lengths_B)
        own_BT = start_B[:, None] + torch.arange(tokens, device=end_B.device)
        # A padded query looks where the last valid one does: what it finds is dropped, but a query
        # that sees nothing would be NaN and poison the layers above.
        own_BT = own_BT.minimum(end_B[:, None] - 1).clamp(min=0)
        # Compared, not subtracted: a mask takes a byte for every pair, a difference eight.
        column_S = torch.arange(after.longest, device=end_B.device)
        mask_BTS = column_S <= own_BT[:, :, None]
        if self.spec.window is not None:
            mask_BTS &= column_S > own_BT[:, :, None] - window
        return {"attn_mask": mask_BTS[:, None], "is_causal": False}


def for_every_head(k_BGSP: Tensor, heads: int) -> Tensor:
    """Each group's keys or values once per head, (B, H, S, P); a view where there is one group."""
    rows, groups, columns, width = k_BGSP.shape
    each_BGHSP = k_BGSP[:, :, None].expand(-1, -1, heads // groups, -1, -1)
    return each_BGHSP.reshape(rows, heads, columns, width)


def from_one_token(
    q_BH1P: Tensor, k_BGSP: Tensor, v_BGSP: Tensor, mask_B11S: Tensor | None
) -> Tensor:
    """Attention of one token a row in bfloat16 or float16 on a CPU, (B, H, 1, P).

    A head's lone query times its keys is a vector times a matrix, for which torch has no fast form
    in either; two queries and more are a product of matrices, two to five times faster. So the
    queries of a group are asked together, and where every head has its own keys, each is asked
    twice.
    """
    rows, heads, _, width = q_BH1P.shape
    groups = k_BGSP.shape[1]
    q_BGRP = q_BH1P.reshape(rows, groups, heads // groups, width)
    if heads == groups:
        q_BGRP = q_BGRP.expand(-1, -1, 2, -1)
    y_BGRP = F.scaled_dot_product_attention(q_BGRP, k_BGSP, v_BGSP, attn_mask=mask_B11S)
    return y_BGRP[:, :, : heads // groups].reshape(rows, heads, 1, width)
