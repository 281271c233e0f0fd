"""Softmax attention with carried keys and values: grouped, windowed, partly rotated, convolved."""

# Shapes: B batch, T tokens, D width, H heads, G key/value heads, P channels per head,
# S cached columns, C channels of q, k and v together, J inputs the convolution carries.
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor, nn

from needlework.models import config
from needlework.models.attending import Sight, attend, attend_masked
from needlework.models.convolution import CausalConvolution, last_valid
from needlework.models.key_values import KeyValueState, extent
from needlework.models.mixer import Mixer
from needlework.models.padding import last_token
from needlework.models.pointwise import fuses
from needlework.models.rotary import rotate, rotation
from needlework.models.sharing import once
from needlework.models.slots import Counts, Ends, KeyValueSlots, RowSlots
from needlework.models.state import RowState


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

    def part(self, start: int, stop: int) -> Self:
        """The rows from `start` up to `stop`, not copied."""
        return type(self)(self.cache.part(start, stop), self.tail.part(start, stop))

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


class AttentionSlots:
    """Slots of keys and values, and of what a convolution carries on."""

    def __init__(self, cache: KeyValueSlots, tail: RowSlots[ConvolutionTail]) -> None:
        self.cache = cache
        self.tail = tail

    def begin(self, start: int, states: Sequence[AttentionState]) -> AttentionState:
        """See `LayerSlots`."""
        cache = self.cache.begin(start, [state.cache for state in states])
        return AttentionState(cache, self.tail.begin(start, [state.tail for state in states]))

    def put(self, start: int, state: AttentionState) -> None:
        """See `LayerSlots`."""
        self.cache.put(start, state.cache)
        self.tail.put(start, state.tail)

    def rows(self, start: int, stop: int) -> AttentionState:
        """See `LayerSlots`."""
        return AttentionState(self.cache.rows(start, stop), self.tail.rows(start, stop))

    def keep(self, state: AttentionState, order: Sequence[int]) -> None:
        """See `LayerSlots`."""
        self.cache.keep(state.cache, order)
        self.tail.keep(state.tail, order)

    def clear(self, slot: int) -> None:
        """See `LayerSlots`."""
        self.cache.clear(slot)

    def wipe(self, start: int, stop: int) -> None:
        """See `LayerSlots`."""
        self.cache.wipe(start, stop)

    def wipe_behind(self, slot: int) -> None:
        """See `LayerSlots`."""
        self.cache.wipe_behind(slot)

    def counts(self, rows: int) -> Mapping[Hashable, Counts]:
        """See `LayerSlots`."""
        return self.cache.counts(rows)

    def fixed(self, rows: int, columns: int, ends: Ends) -> AttentionState:
        """See `LayerSlots`."""
        tail = self.tail.fixed(rows, columns, ends)
        return AttentionState(self.cache.fixed(rows, columns, ends), tail)

    def advance(self, rows: int, written: Sequence[int], tokens: int) -> None:
        """See `LayerSlots`."""
        self.cache.advance(rows, written, tokens)


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

    def slots(self, rows: int, columns: int, answer: int, begun: int = 0) -> AttentionSlots:
        """Room for so many columns a row; behind a window for what it sees, and an answer."""
        window, nothing = self.spec.window, self.init_state(1).cache
        columns = columns if window is None else min(begun + columns, window + answer)
        cache = KeyValueSlots(nothing, rows, columns, window=window, alike=self.spec)
        return AttentionSlots(cache, RowSlots(self.init_state(rows).tail))

    def resumed(self, state: AttentionState) -> AttentionState:
        """Columns behind those in use are written again; a window's are copied when they are."""
        if self.spec.window is not None:
            return state
        cache = state.cache
        return replace(state, cache=replace(cache, version=cache.buffer.writes))

    def as_prefix(self, state: AttentionState) -> AttentionState:
        """Keys and values stay where they are; a window's are few, and copied."""
        if self.spec.window is not None:
            return state
        return replace(state, cache=state.cache.as_prefix())

    def forward(
        self, x_BTD: Tensor, state: AttentionState, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, AttentionState]:
        """Attend from T new tokens to everything read so far."""
        qkv_BTC, tail = self._project(x_BTD, state, lengths_B)
        if self._reads_shifted(x_BTD, state):
            heads = self._heads(qkv_BTC, state.cache)
            y_BHTP, cache = self._attend_shifted(*heads, state.cache, lengths_B)
        else:
            q_BHTP, before, cache = self._appended(qkv_BTC, state.cache, lengths_B)
            sight = Sight.between(before, cache, q_BHTP.shape[2], self.spec.window)
            y_BHTP = attend(q_BHTP, cache, sight)
        return self.project_out(y_BHTP.transpose(1, 2).flatten(2)), AttentionState(cache, tail)

    def read(
        self, x_BTD: Tensor, state: AttentionState, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, AttentionState]:
        """Attend from the last tokens alone."""
        if self._reads_shifted(x_BTD, state):
            return super().read(x_BTD, state, lengths_B)
        qkv_BTC, tail = self._project(x_BTD, state, lengths_B)
        q_BHTP, _, cache = self._appended(qkv_BTC, state.cache, lengths_B)
        q_BH1P = last_token(q_BHTP.transpose(1, 2), lengths_B).transpose(1, 2)
        y_BH1P = attend(q_BH1P, cache, Sight.at_end(cache, self.spec.window))
        return self.project_out(y_BH1P.transpose(1, 2).flatten(2)), AttentionState(cache, tail)

    def _appended(
        self, qkv_BTC: Tensor, cache: KeyValueState, lengths_B: Tensor | None
    ) -> tuple[Tensor, KeyValueState, KeyValueState]:
        """Queries, and the cache before and after the new keys and values were appended."""
        before = cache.drop_invisible(self.spec.window)
        if not fuses(qkv_BTC):
            q_BHTP, k_BGTP, v_BGTP = self._heads(qkv_BTC, cache)
            return q_BHTP, before, before.append(k_BGTP, v_BGTP, lengths_B, alike=self.spec)
        from needlework.models import fused

        tokens = qkv_BTC.shape[1]
        angles = self._angles(cache, tokens, torch.float32)
        roomy = before.with_room(tokens)
        room = roomy.columns(roomy.buffer.capacity)
        q_BHTP = fused.rotate_append(qkv_BTC, angles, before.length_B, *room, heads=self.spec.heads)
        return q_BHTP, before, roomy.written(tokens, lengths_B, alike=self.spec)

    def _reads_shifted(self, x_BTD: Tensor, state: AttentionState) -> bool:
        return self.spec.shifted_window and state.cache.longest == 0 and x_BTD.shape[1] > 1

    def _project(
        self, x_BTD: Tensor, state: AttentionState, lengths_B: Tensor | None
    ) -> tuple[Tensor, ConvolutionTail]:
        """Channels of q, k and v of the new tokens, and what a convolution carries on."""
        qkv_BTC = self.project_in(x_BTD)
        tail = state.tail
        if self.convolution:
            qkv_BTC, inputs = self.convolution(qkv_BTC, tail.tail_BJC, lengths_B)
            outputs = tail.outputs_BJC
            if self.spec.convolved_tail:
                joined = torch.cat([outputs, qkv_BTC], dim=1)
                outputs = last_valid(joined, outputs.shape[1], lengths_B)
            tail = ConvolutionTail(inputs, outputs)
        return qkv_BTC, tail

    def _heads(self, qkv_BTC: Tensor, cache: KeyValueState) -> tuple[Tensor, Tensor, Tensor]:
        """Split into heads and rotate queries and keys."""
        spec = self.spec
        heads = torch.unflatten(qkv_BTC, 2, (-1, spec.head_width)).transpose(1, 2)
        # Queries and keys turn by the same angles: one rotation serves both.
        qk, v = torch.split(heads, [spec.heads + spec.kv_heads, spec.kv_heads], dim=1)
        angles = self._angles(cache, qkv_BTC.shape[1], qkv_BTC.dtype)
        if angles is not None:
            qk = rotate(qk, *angles)
        q, k = torch.split(qk, [spec.heads, spec.kv_heads], dim=1)
        return q, k, v

    def _angles(
        self, cache: KeyValueState, tokens: int, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor] | None:
        """Cosines and sines of the new tokens, the same in every layer of this kind."""
        spec = self.spec
        if not spec.rotary_width:
            return None

        def make() -> tuple[Tensor, Tensor]:
            # Rows that have read equally many tokens share one row of angles.
            start = cache.position_B[:1] if cache.uniform else cache.position_B
            position_BT = start[:, None] + torch.arange(tokens, device=start.device)
            cos, sin = rotation(
                position_BT,
                width=spec.rotary_width,
                base=spec.rotary_base,
                divisors=spec.rotary_divisors,
            )
            return cos.to(dtype), sin.to(dtype)

        return once(("angles", spec, dtype), make)

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
        y_BHTP = attend_masked(q_BHTP, keys, values, mask_TS)
        kept_B = end_B.clamp(max=self.spec.window)
        after = cache.append(keys, values, kept_B)
        position_B = cache.position_B + end_B
        _, uniform = extent(after.length_B, position_B)
        return y_BHTP, replace(after, position_B=position_B, uniform=uniform)
