"""RWKV-6: data-dependent token shift and decay (arXiv:2404.05892), time and channel mixing."""

# Shapes: B batch, T tokens, D width, H heads, K = V channels per head, R rank of the token shift,
# C chunks, L tokens per chunk, M the five mixed inputs (w, k, v, r, g).
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from needlework.models import config, cuda, kernels
from needlework.models.convolution import last_of_both, last_valid
from needlework.models.mixer import Mixer, derived
from needlework.models.padding import in_chunks, last_token, valid_tokens
from needlework.models.pointwise import fuses, gated
from needlework.models.sharing import owns_states
from needlework.models.state import RowState, TokenShiftState

FACTOR_LIMIT = 30.0
"""Largest exponent (nats) of a factored decay: e^30 keeps float32 products finite and exact."""


@dataclass(frozen=True)
class TimeMixState(RowState):
    """The last valid input, and the matrix state of every head in float32 or wider."""

    last_BD: Tensor
    state_BHKV: Tensor


class TimeMix(Mixer[TimeMixState]):
    """o_t = r_t (S + diag(u) k_t v_t^T) with S = diag(w_t) S + k_t v_t^T, normalised and gated.

    Rows of `mix_MD` and of the low-rank factors follow the paper's order w, k, v, r, g.
    """

    wide = ("decay_D", "bonus_HK")

    def __init__(self, width: int, spec: config.TimeMix) -> None:
        super().__init__()
        self.spec = spec
        self.mix_D = nn.Parameter(torch.zeros(width))
        self.mix_MD = nn.Parameter(torch.zeros(5, width))
        self.mix_down = nn.Parameter(torch.zeros(width, 5 * spec.shift_rank))
        self.mix_up_MRD = nn.Parameter(torch.zeros(5, spec.shift_rank, width))
        self.decay_D = nn.Parameter(torch.zeros(width))
        self.decay_down = nn.Parameter(torch.zeros(width, spec.decay_rank))
        self.decay_up = nn.Parameter(torch.zeros(spec.decay_rank, width))
        self.bonus_HK = nn.Parameter(torch.zeros(spec.heads, spec.head_width))
        inner = spec.heads * spec.head_width
        self.receptance = nn.Linear(width, inner, bias=False)
        self.key = nn.Linear(width, inner, bias=False)
        self.value = nn.Linear(width, inner, bias=False)
        self.gate = nn.Linear(width, inner, bias=False)
        self.norm = nn.GroupNorm(spec.heads, inner, eps=spec.norm_eps)
        self.project_out = nn.Linear(inner, width, bias=False)

    def initialise(self, generator: torch.Generator) -> None:
        """Shifts anywhere between two tokens, small low-rank factors, decays from slow to fast."""
        for shift in (self.mix_D, self.mix_MD):
            shift.uniform_(0, 1, generator=generator)
        for factor in (self.mix_down, self.mix_up_MRD, self.decay_down, self.decay_up):
            factor.normal_(0, 0.01, generator=generator)
        self.decay_D.copy_(-6 + 5 * torch.linspace(0, 1, len(self.decay_D)))

    def init_state(self, batch: int) -> TimeMixState:
        """No tokens read yet."""
        spec, like = self.spec, self.mix_D
        wide = torch.promote_types(like.dtype, torch.float32)
        shape = (batch, spec.heads, spec.head_width, spec.head_width)
        return TimeMixState(like.new_zeros(batch, len(like)), like.new_zeros(shape, dtype=wide))

    def forward(
        self, x_BTD: Tensor, state: TimeMixState, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, TimeMixState]:
        """Read T new tokens."""
        mixed, last_BD = self._mixed_inputs(x_BTD, state.last_BD, lengths_B)
        w, k, v, r, g = mixed.unbind(0)
        log_decay_BTD = self._log_decay(w)
        k_BTD = self.key(k)
        if lengths_B is not None:
            padding_BT1 = ~valid_tokens(lengths_B, x_BTD)[..., None]
            log_decay_BTD = log_decay_BTD.masked_fill(padding_BT1, 0)
            k_BTD = k_BTD.masked_fill(padding_BT1, 0)
        given = self.receptance(r), k_BTD, self.value(v), log_decay_BTD
        gate_BTD = self.gate(g)
        y_BTD, state_BHKV = self._recurrence(given, gate_BTD, state.state_BHKV, lengths_B)
        return self.project_out(y_BTD), TimeMixState(last_BD, state_BHKV)

    def _recurrence(
        self,
        given: tuple[Tensor, Tensor, Tensor, Tensor],
        gate_BTD: Tensor,
        state_BHKV: Tensor,
        lengths_B: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """What r, k, v and the log decays give, normalised head by head and gated; the state."""
        wide, norm = state_BHKV.dtype, self.norm
        bonus_HK = self.bonus_HK.to(wide)
        fused_here = fuses(gate_BTD)
        if fused_here and gate_BTD.shape[1] == 1 and lengths_B is None:
            from needlework.models import fused_recurrent

            r, k, v, log_decay = (self._heads(each, each.dtype) for each in given)
            return fused_recurrent.write_token(
                r, k, v, log_decay, bonus_HK, gate_BTD, norm.weight, norm.bias, state_BHKV,
                eps=norm.eps, in_place=owns_states(),
            )  # fmt: skip
        if kernels.chosen("weighted_key_values", gate_BTD.device, gate_BTD.dtype) != kernels.TORCH:
            # Products of half precision are exact in the float32 they are summed in.
            r, k, v = (self._heads(each, each.dtype) for each in given[:3])
            o_BTHV, state_BHKV = cuda.weighted_key_values(
                r, k, v, self._heads(given[3], wide), bonus_HK, state_BHKV, chunk=self.spec.chunk
            )
        else:
            r, k, v, log_decay = (self._heads(each, wide) for each in given)
            o_BTHV, state_BHKV = weighted_key_values(
                r, k, v, log_decay, bonus_HK, state_BHKV, chunk=self.spec.chunk
            )
        if fused_here:
            from needlework.models import fused_recurrent

            y_BTD = fused_recurrent.head_norm_gate(
                o_BTHV, gate_BTD, norm.weight, norm.bias, eps=norm.eps
            )
            return y_BTD, state_BHKV
        o_BTD = norm(o_BTHV.flatten(0, 1).flatten(1).to(gate_BTD.dtype)).view_as(gate_BTD)
        return o_BTD * F.silu(gate_BTD), state_BHKV

    def _log_decay(self, w_BTD: Tensor) -> Tensor:
        """-exp(d + tanh(w W1) W2), in float32 or wider (equation 18)."""
        low_BTD = torch.tanh(w_BTD @ self.decay_down) @ self.decay_up
        if fuses(low_BTD):
            from needlework.models import fused_recurrent

            return fused_recurrent.log_decay(low_BTD, self.decay_D)
        wide = torch.promote_types(w_BTD.dtype, torch.float32)
        return -(self.decay_D + low_BTD).to(wide).exp()

    def _heads(self, x_BTD: Tensor, dtype: torch.dtype) -> Tensor:
        """Channels split into heads; shape (B, T, H, K)."""
        return torch.unflatten(x_BTD, 2, (self.spec.heads, -1)).to(dtype)

    def _mixed_inputs(
        self, x_BTD: Tensor, before_BD: Tensor, lengths_B: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """x + dx (mu_j + tanh((x + dx mu) W1)_j W2_j) for j in w, k, v, r, g (equations 15, 16).

        And the last valid input of every row.
        """
        if fuses(x_BTD):
            from needlework.models import fused_recurrent

            shifted_BTD = fused_recurrent.mix(x_BTD, before_BD, self.mix_D[None], None)[0]
            low_NMR = torch.tanh(shifted_BTD @ self.mix_down).view(-1, *self.mix_up_MRD.shape[:2])
            learnt_MND = low_NMR.transpose(0, 1) @ self.mix_up_MRD
            mixed_MBTD = fused_recurrent.mix(x_BTD, before_BD, self.mix_MD, learnt_MND)
            return mixed_MBTD, last_of_both(before_BD[:, None], x_BTD, lengths_B)[:, 0]
        difference_BTD, last_BD = token_shift(x_BTD, before_BD, lengths_B)
        low = torch.tanh((x_BTD + difference_BTD * self.mix_D) @ self.mix_down)
        low_BTMR = torch.unflatten(low, 2, (5, -1))
        learnt_MBTD = torch.einsum("btmr,mrd->mbtd", low_BTMR, self.mix_up_MRD)
        mixed_MBTD = x_BTD + difference_BTD * (learnt_MBTD + self.mix_MD[:, None, None])
        return mixed_MBTD, last_BD


class ChannelMix(Mixer[TokenShiftState]):
    """sigmoid(W_r x_r) * W_v relu(W_k x_k)^2, each input mixed with the token before."""

    def __init__(self, width: int, spec: config.ChannelMix) -> None:
        super().__init__()
        self.mix_key_D = nn.Parameter(torch.zeros(width))
        self.mix_receptance_D = nn.Parameter(torch.zeros(width))
        self.key = nn.Linear(width, spec.hidden, bias=False)
        self.value = nn.Linear(spec.hidden, width, bias=False)
        self.receptance = nn.Linear(width, width, bias=False)

    @property
    def output(self) -> nn.Linear:
        """The values are the last projection here."""
        return self.value

    def initialise(self, generator: torch.Generator) -> None:
        """Shifts anywhere between two tokens."""
        self.mix_key_D.uniform_(0, 1, generator=generator)
        self.mix_receptance_D.uniform_(0, 1, generator=generator)

    def init_state(self, batch: int) -> TokenShiftState:
        """No tokens read yet."""
        return TokenShiftState(self.mix_key_D.new_zeros(batch, len(self.mix_key_D)))

    def forward(
        self, x_BTD: Tensor, state: TokenShiftState, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, TokenShiftState]:
        """Read T new tokens."""
        inputs, last_BD = self._mixed_inputs(x_BTD, state.last_BD, lengths_B)
        return self._mix(*inputs), TokenShiftState(last_BD)

    def read(
        self, x_BTD: Tensor, state: TokenShiftState, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, TokenShiftState]:
        """Mix the last tokens with those before them."""
        if x_BTD.shape[1] == 1:
            return self.forward(x_BTD, state, lengths_B)
        difference_BTD, last_BD = token_shift(x_BTD, state.last_BD, lengths_B)
        ends = last_token(x_BTD, lengths_B), last_token(difference_BTD, lengths_B)
        return self._mix(*self._shifted(*ends)), TokenShiftState(last_BD)

    def _mixed_inputs(
        self, x_BTD: Tensor, before_BD: Tensor, lengths_B: Tensor | None
    ) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """The inputs of key and receptance, and the last valid input of every row."""
        if fuses(x_BTD):
            from needlework.models import fused_recurrent

            mixes = self.mix_key_D, self.mix_receptance_D
            mix_MD = derived(self, "mixes", lambda: torch.stack(mixes), *mixes)
            key, receptance = fused_recurrent.mix(x_BTD, before_BD, mix_MD, None).unbind(0)
            return (key, receptance), last_of_both(before_BD[:, None], x_BTD, lengths_B)[:, 0]
        difference_BTD, last_BD = token_shift(x_BTD, before_BD, lengths_B)
        return self._shifted(x_BTD, difference_BTD), last_BD

    def _shifted(self, x_BTD: Tensor, difference_BTD: Tensor) -> tuple[Tensor, Tensor]:
        key = x_BTD + difference_BTD * self.mix_key_D
        return key, x_BTD + difference_BTD * self.mix_receptance_D

    def _mix(self, key_BTD: Tensor, receptance_BTD: Tensor) -> Tensor:
        hidden = self.key(key_BTD)
        # relu(x) x is relu(x) squared.
        squared = gated(hidden, hidden, "relu") if fuses(hidden) else F.relu(hidden).square()
        return gated(self.receptance(receptance_BTD), self.value(squared), "sigmoid")


def token_shift(x_BTD: Tensor, last_BD: Tensor, lengths_B: Tensor | None) -> tuple[Tensor, Tensor]:
    """x_{t-1} - x_t for every token, and the last valid input of every row."""
    joined = torch.cat([last_BD[:, None], x_BTD], dim=1)
    return joined[:, :-1] - x_BTD, last_valid(joined, 1, lengths_B)[:, 0]


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
    """Outputs and last state of the WKV6 recurrence (equations 19 and 20).

    Inside a chunk every pair of tokens is combined directly; between chunks only the state is
    carried.
    """
    tokens = r_BTHK.shape[1]
    size = min(chunk, tokens)
    r, k, v, log_decay = (
        in_chunks(sequence, size).transpose(2, 3)
        for sequence in (r_BTHK, k_BTHK, v_BTHV, log_decay_BTHK)
    )
    until = log_decay.cumsum(dim=-2)
    before_own = until - log_decay
    pairs_BCHLL = _pairs(r, k, before_own, until)
    own_BCHL1 = (r * bonus_HK[:, None] * k).sum(dim=-1, keepdim=True)
    o_BCHLV = pairs_BCHLL @ v + own_BCHL1 * v
    added_BCHKV = (k * (until[..., -1:, :] - until).exp()).transpose(-1, -2) @ v
    whole_BCHK = until[..., -1, :].exp()
    states = []
    for decay_BHK, added_BHKV in zip(whole_BCHK.unbind(1), added_BCHKV.unbind(1), strict=True):
        states.append(state_BHKV)
        state_BHKV = decay_BHK[..., None] * state_BHKV + added_BHKV
    o_BCHLV = o_BCHLV + (r * before_own.exp()) @ torch.stack(states, dim=1)
    return o_BCHLV.transpose(2, 3).flatten(1, 2)[:, :tokens], state_BHKV


def _pairs(r: Tensor, k: Tensor, before_own: Tensor, until: Tensor) -> Tensor:
    """sum_k r_ik k_jk exp(decays after token j and before token i), for j < i; else 0.

    All arguments are (B, C, H, L, K); the result is (B, C, H, L, L). The weight is a product of two
    factors, which makes this one matrix product, unless a channel decays so strongly within the
    chunk that the factors would leave the range of floats: then pair by pair.
    """
    # One token has no pair, so that nothing need be asked of the device.
    if r.shape[-2] == 1 or bool((until[..., -1, :] > -FACTOR_LIMIT).all()):
        return ((r * before_own.exp()) @ (k * (-until).exp()).transpose(-1, -2)).tril(-1)
    size = r.shape[-2]
    between = before_own[..., :, None, :] - until[..., None, :, :]
    not_earlier = torch.ones(size, size, dtype=torch.bool, device=r.device).triu()
    decay_BCHLLK = between.masked_fill(not_earlier[..., None], float("-inf")).exp()
    return (r[..., :, None, :] * k[..., None, :, :] * decay_BCHLLK).sum(dim=-1)
