"""Gated DeltaNet: a delta rule that also decays, in chunks (Yang et al., arXiv:2412.06464)."""

# Shapes: B batch, T tokens, D width, H heads, K channels of a key and V of a value per head,
# C chunks, L tokens per chunk, J inputs the convolution carries, Q = H (2 K + V) its channels,
# E = H V inner width.
from dataclasses import dataclass
from math import log

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from needlework.models import config
from needlework.models.convolution import CausalConvolution
from needlework.models.mixer import Mixer, inverse_softplus, uniform
from needlework.models.norms import RMSNorm
from needlework.models.padding import decays_between, in_chunks, last_token, valid_tokens
from needlework.models.state import RowState

UNIT_EPS = 1e-6
"""Added to the squared length of a query or key before it is divided by its length."""


@dataclass(frozen=True)
class GatedDeltaState(RowState):
    """The last inputs of the convolution, and every head's matrix state in float32 or wider."""

    tail_BJQ: Tensor
    state_BHVK: Tensor


class GatedDelta(Mixer[GatedDeltaState]):
    """o_t = S_t q_t with S_t = a_t S_{t-1} (I - b_t k_t k_t^T) + b_t v_t k_t^T, normed and gated.

    Rows of `project_in` are [q, k, v, gate, a, b]. The convolution covers [q, k, v]; published
    models convolve each of them for itself, which is the same, since it works channel by channel.
    """

    wide = ("step_bias_H", "log_rate_H")

    def __init__(self, width: int, spec: config.GatedDelta) -> None:
        super().__init__()
        self.spec = spec
        self.keys, self.values = spec.heads * spec.head_width, spec.heads * spec.value_width
        self.parts = [2 * self.keys + self.values, self.values, spec.heads, spec.heads]
        self.project_in = nn.Linear(width, sum(self.parts), bias=False)
        self.convolution = CausalConvolution(self.parts[0], spec.convolution, bias=False)
        self.step_bias_H = nn.Parameter(torch.zeros(spec.heads))
        self.log_rate_H = nn.Parameter(torch.zeros(spec.heads))
        self.norm = RMSNorm(spec.value_width, eps=spec.norm_eps)
        self.project_out = nn.Linear(self.values, width, bias=False)

    def initialise(self, generator: torch.Generator) -> None:
        """Decays as those of Mamba2, from which the paper takes its gate."""
        step_H = uniform(self.step_bias_H, log(0.001), log(0.1), generator).exp()
        self.step_bias_H.copy_(inverse_softplus(step_H))
        self.log_rate_H.copy_(uniform(self.log_rate_H, 1, 16, generator).log())

    def init_state(self, batch: int) -> GatedDeltaState:
        """No tokens read yet."""
        spec, like = self.spec, self.project_in.weight
        wide = torch.promote_types(like.dtype, torch.float32)
        zero = like.new_zeros(batch, spec.heads, spec.value_width, spec.head_width, dtype=wide)
        return GatedDeltaState(self.convolution.init_tail(batch), zero)

    def forward(
        self, x_BTD: Tensor, state: GatedDeltaState, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, GatedDeltaState]:
        """Read T new tokens."""
        if x_BTD.shape[1] == 1:
            return self.read(x_BTD, state, lengths_B)
        q, k, v, log_decay, strength, gate, tail = self._inputs(x_BTD, state, lengths_B)
        o_BTHV, state_BHVK = gated_delta_rule(
            q, k, v, log_decay, strength, state.state_BHVK, chunk=self.spec.chunk
        )
        return self._gated(o_BTHV, gate), GatedDeltaState(tail, state_BHVK)

    def read(
        self, x_BTD: Tensor, state: GatedDeltaState, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, GatedDeltaState]:
        """Carry the state to the last tokens and ask it only there."""
        q, k, v, log_decay, strength, gate, tail = self._inputs(x_BTD, state, lengths_B)
        _, state_BHVK = gated_delta_rule(
            None, k, v, log_decay, strength, state.state_BHVK, chunk=self.spec.chunk
        )
        q_BHK1 = last_token(q, lengths_B)[:, 0, :, :, None]
        o_B1HV = (state_BHVK @ q_BHK1)[..., 0][:, None]
        ends = self._gated(o_B1HV, last_token(gate, lengths_B))
        return ends, GatedDeltaState(tail, state_BHVK)

    def _inputs(
        self, x_BTD: Tensor, state: GatedDeltaState, lengths_B: Tensor | None
    ) -> tuple[Tensor, ...]:
        """q, k, v, log a, b, the gate, and the inputs that the convolution carries on."""
        spec, wide = self.spec, state.state_BHVK.dtype
        mixed, gate, step_BTH, strength_BTH = torch.split(
            self.project_in(x_BTD), self.parts, dim=-1
        )
        mixed, tail_BJQ = self.convolution(mixed, state.tail_BJQ, lengths_B, silu=True)
        shares = torch.split(mixed, [self.keys, self.keys, self.values], dim=-1)
        q, k, v = (torch.unflatten(share, 2, (spec.heads, -1)).to(wide) for share in shares)
        step_BTH = F.softplus(step_BTH.to(wide) + self.step_bias_H)
        log_decay_BTH = -self.log_rate_H.to(wide).exp() * step_BTH
        strength_BTH = strength_BTH.to(wide).sigmoid()
        if lengths_B is not None:
            padding_BT1 = ~valid_tokens(lengths_B, x_BTD)[..., None]
            log_decay_BTH = log_decay_BTH.masked_fill(padding_BT1, 0)
            strength_BTH = strength_BTH.masked_fill(padding_BT1, 0)
        q = _unit(q) * spec.head_width**-0.5
        return q, _unit(k), v, log_decay_BTH, strength_BTH, gate, tail_BJQ

    def _gated(self, o_BTHV: Tensor, gate_BTE: Tensor) -> Tensor:
        """Normalise every head, gate, project."""
        projected: Tensor = self.project_out(self.norm(o_BTHV).flatten(2) * F.silu(gate_BTE))
        return projected


def _unit(x: Tensor) -> Tensor:
    """Vectors of length one over the last axis."""
    return x * (x.square().sum(dim=-1, keepdim=True) + UNIT_EPS).rsqrt()


def gated_delta_rule(
    q_BTHK: Tensor | None,
    k_BTHK: Tensor,
    v_BTHV: Tensor,
    log_decay_BTH: Tensor,
    strength_BTH: Tensor,
    state_BHVK: Tensor,
    *,
    chunk: int,
) -> tuple[Tensor, Tensor]:
    """Outputs (B, T, H, V) and last state of the recurrence; without queries no outputs.

    What a token writes is u_t = b_t (v_t - a_t S_{t-1} k_t), so S_t = a_t S_{t-1} + u_t k_t^T is a
    plain sum. Inside a chunk the u depend on each other through one triangular system (section 3.3
    of the paper); between chunks only the state is carried. All exponents are sums of negative
    numbers, so nothing overflows however strong the decay.
    """
    tokens = k_BTHK.shape[1]
    size = min(chunk, tokens)
    k, v, log_decay, strength = (
        in_chunks(each, size).transpose(2, 3)
        for each in (k_BTHK, v_BTHV, log_decay_BTH, strength_BTH)
    )
    until_BCHL = log_decay.cumsum(dim=-1)
    decays_BCHLL = decays_between(until_BCHL)
    own_BCHLV, weight_BCHLK = _written(k, v, until_BCHL, strength, decays_BCHLL)
    to_end_BCHLK = k * (until_BCHL[..., -1:] - until_BCHL).exp()[..., None]
    whole_BCH11 = until_BCHL[..., -1, None, None].exp()
    written, before = [], []
    for index in range(k.shape[1]):
        u_BHLV = own_BCHLV[:, index] - weight_BCHLK[:, index] @ state_BHVK.transpose(-1, -2)
        written.append(u_BHLV)
        before.append(state_BHVK)
        added_BHVK = u_BHLV.transpose(-1, -2) @ to_end_BCHLK[:, index]
        state_BHVK = whole_BCH11[:, index] * state_BHVK + added_BHVK
    if q_BTHK is None:
        return v_BTHV[:, :0], state_BHVK
    q = in_chunks(q_BTHK, size).transpose(2, 3)
    carried = (q * until_BCHL.exp()[..., None]) @ torch.stack(before, dim=1).transpose(-1, -2)
    pairs_BCHLL = q @ k.transpose(-1, -2) * decays_BCHLL
    o_BCHLV = carried + pairs_BCHLL @ torch.stack(written, dim=1)
    return o_BCHLV.transpose(2, 3).flatten(1, 2)[:, :tokens], state_BHVK


def _written(
    k: Tensor, v: Tensor, until_BCHL: Tensor, strength_BCHL: Tensor, decays_BCHLL: Tensor
) -> tuple[Tensor, Tensor]:
    """u as if the state before the chunk were zero, and what that state takes from it.

    u_t + b_t sum_{i<t} a_{i+1..t} (k_i . k_t) u_i = b_t (v_t - a_{1..t} S k_t), S before the chunk:
    the two parts of the right side are solved for at once.
    """
    coupling = (k @ k.transpose(-1, -2) * decays_BCHLL * strength_BCHL[..., None]).tril(-1)
    right = torch.cat([v, k * until_BCHL.exp()[..., None]], dim=-1) * strength_BCHL[..., None]
    # `unitriangular` takes the diagonal for ones, whatever stands there.
    solved = torch.linalg.solve_triangular(coupling, right, upper=False, unitriangular=True)
    own_BCHLV, weight_BCHLK = torch.split(solved, [v.shape[-1], k.shape[-1]], dim=-1)
    return own_BCHLV, weight_BCHLK
