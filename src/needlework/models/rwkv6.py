"""RWKV-6: data-dependent token shift and decay (arXiv:2404.05892), time and channel mixing."""

# Shapes: B batch, T tokens, D width, H heads, K = V channels per head, R rank of the token shift,
# C chunks, L tokens per chunk, M the five mixed inputs (w, k, v, r, g).
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from needlework.models import config, cuda, kernels
from needlework.models.convolution import last_valid
from needlework.models.mixer import Mixer
from needlework.models.padding import in_chunks, last_token, valid_tokens
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
        difference_BTD, last_BD = token_shift(x_BTD, state.last_BD, lengths_B)
        w, k, v, r, g = self._mixed_inputs(x_BTD, difference_BTD)
        wide = state.state_BHKV.dtype
        decay_BTD = self.decay_D + torch.tanh(w @ self.decay_down) @ self.decay_up
        log_decay_BTD = -decay_BTD.to(wide).exp()
        k_BTD = self.key(k)
        if lengths_B is not None:
            padding_BT1 = ~valid_tokens(lengths_B, x_BTD)[..., None]
            log_decay_BTD = log_decay_BTD.masked_fill(padding_BT1, 0)
            k_BTD = k_BTD.masked_fill(padding_BT1, 0)
        recurrence = weighted_key_values
        if kernels.chosen("weighted_key_values", x_BTD.device, x_BTD.dtype) != kernels.TORCH:
            recurrence = cuda.weighted_key_values
        o_BTHV, state_BHKV = recurrence(
            self._heads(self.receptance(r), wide),
            self._heads(k_BTD, wide),
            self._heads(self.value(v), wide),
            self._heads(log_decay_BTD, wide),
            self.bonus_HK.to(wide),
            state.state_BHKV,
            chunk=self.spec.chunk,
        )
        o_BTD = self.norm(o_BTHV.flatten(0, 1).flatten(1).to(x_BTD.dtype)).view_as(k_BTD)
        return self.project_out(o_BTD * F.silu(self.gate(g))), TimeMixState(last_BD, state_BHKV)

    def _heads(self, x_BTD: Tensor, dtype: torch.dtype) -> Tensor:
        """Channels split into heads; shape (B, T, H, K)."""
        return torch.unflatten(x_BTD, 2, (self.spec.heads, -1)).to(dtype)

    def _mixed_inputs(self, x_BTD: Tensor, difference_BTD: Tensor) -> tuple[Tensor, ...]:
        """x + dx (mu_j + tanh((x + dx mu) W1)_j W2_j) for j in w, k, v, r, g (equations 15, 16)."""
        low = torch.tanh((x_BTD + difference_BTD * self.mix_D) @ self.mix_down)
        low_BTMR = torch.unflatten(low, 2, (5, -1))
        learnt_MBTD = torch.einsum("btmr,mrd->mbtd", low_BTMR, self.mix_up_MRD)
        mixed_MBTD = x_BTD + difference_BTD * (learnt_MBTD + self.mix_MD[:, None, None])
        return mixed_MBTD.unbind(0)


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
        difference_BTD, last_BD = token_shift(x_BTD, state.last_BD, lengths_B)
        return self._mix(x_BTD, difference_BTD), TokenShiftState(last_BD)

    def read(
        self, x_BTD: Tensor, state: TokenShiftState, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, TokenShiftState]:
        """Mix the last tokens with those before them."""
        difference_BTD, last_BD = token_shift(x_BTD, state.last_BD, lengths_B)
        ends = last_token(x_BTD, lengths_B), last_token(difference_BTD, lengths_B)
        return self._mix(*ends), TokenShiftState(last_BD)

    def _mix(self, x_BTD: Tensor, difference_BTD: Tensor) -> Tensor:
        hidden = F.relu(self.key(x_BTD + difference_BTD * self.mix_key_D)).square()
        receptance = torch.sigmoid(self.receptance(x_BTD + difference_BTD * self.mix_receptance_D))
        mixed: Tensor = receptance * self.value(hidden)
        return mixed


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
    if bool((until[..., -1, :] > -FACTOR_LIMIT).all()):
        return ((r * before_own.exp()) @ (k * (-until).exp()).transpose(-1, -2)).tril(-1)
    size = r.shape[-2]
    between = before_own[..., :, None, :] - until[..., None, :, :]
    not_earlier = torch.ones(size, size, dtype=torch.bool, device=r.device).triu()
    decay_BCHLLK = between.masked_fill(not_earlier[..., None], float("-inf")).exp()
    return (r[..., :, None, :] * k[..., None, :, :] * decay_BCHLLK).sum(dim=-1)
