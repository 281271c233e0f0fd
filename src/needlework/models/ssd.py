"""Mamba2: a selective state space layer computed in chunks (Dao and Gu, arXiv:2405.21060)."""

# Shapes: B batch, T tokens, D width, H heads, P channels per head, N state channels, G groups,
# E = H * P inner width, C chunks, L tokens per chunk, J inputs the convolution carries.
from dataclasses import dataclass
from math import log

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from needlework.models import config, cuda, kernels
from needlework.models.convolution import CausalConvolution
from needlework.models.mixer import Mixer, derived, inverse_softplus, uniform
from needlework.models.norms import RMSNorm
from needlework.models.padding import decays_between, in_chunks, last_token, valid_tokens
from needlework.models.sharing import owns_states
from needlework.models.state import RowState


@dataclass(frozen=True)
class SSDState(RowState):
    """The last inputs of the convolution, and every head's matrix state in float32 or wider."""

    tail_BJC: Tensor
    state_BHPN: Tensor


class SSD(Mixer[SSDState]):
    """h_t = exp(dt A) h_{t-1} + dt x_t b_t^T and y_t = h_t c_t + D x_t, gated and normalised.

    Rows of `project_in` are [z, x, B, C, dt]; the convolution covers [x, B, C].
    """

    wide = ("step_bias_H", "log_rate_H", "skip_H")

    def __init__(self, width: int, spec: config.SSD) -> None:
        super().__init__()
        self.spec = spec
        inner, shared = spec.heads * spec.head_width, spec.groups * spec.state
        self.inner, self.rest = inner, inner + 2 * shared + spec.heads
        self.project_in = nn.Linear(width, self.inner + self.rest, bias=False)
        self.convolution = CausalConvolution(inner + 2 * shared, spec.convolution)
        self.step_bias_H = nn.Parameter(torch.zeros(spec.heads))
        self.log_rate_H = nn.Parameter(torch.zeros(spec.heads))
        self.skip_H = nn.Parameter(torch.ones(spec.heads))
        self.norm = RMSNorm(inner, eps=spec.norm_eps, groups=spec.groups)
        self.project_out = nn.Linear(inner, width, bias=False)

    def initialise(self, generator: torch.Generator) -> None:
        """Steps from 0.001 to 0.1 in logarithm, rates from 1 to 16, as the published models."""
        step_H = uniform(self.step_bias_H, log(0.001), log(0.1), generator).exp()
        self.step_bias_H.copy_(inverse_softplus(step_H))
        self.log_rate_H.copy_(uniform(self.log_rate_H, 1, 16, generator).log())

    def init_state(self, batch: int) -> SSDState:
        """No tokens read yet."""
        spec, like = self.spec, self.project_in.weight
        wide = torch.promote_types(like.dtype, torch.float32)
        zero = like.new_zeros(batch, spec.heads, spec.head_width, spec.state, dtype=wide)
        return SSDState(self.convolution.init_tail(batch), zero)

    def forward(
        self, x_BTD: Tensor, state: SSDState, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, SSDState]:
        """Read T new tokens."""
        if not self._by_torch(x_BTD):
            return self._by_kernels(x_BTD, state, lengths_B)
        if x_BTD.shape[1] == 1:
            return self.read(x_BTD, state, lengths_B)
        z_BTE, rest = torch.split(self.project_in(x_BTD), [self.inner, self.rest], dim=-1)
        x_BTHP, step_BTH, write_BTGN, read_BTGN, tail_BJC = self._inputs(rest, state, lengths_B)
        y_BTHP, state_BHPN = selective_scan(
            x_BTHP,
            step_BTH,
            -self.log_rate_H.to(x_BTHP.dtype).exp(),
            write_BTGN,
            read_BTGN,
            state.state_BHPN,
            chunk=self.spec.chunk,
        )
        return self._gated(y_BTHP, x_BTHP, z_BTE), SSDState(tail_BJC, state_BHPN)

    def _by_kernels(
        self, x_BTD: Tensor, state: SSDState, lengths_B: Tensor | None
    ) -> tuple[Tensor, SSDState]:
        """The same in the dtype of the weights, which is that of what they multiply.

        Only decays, sums and the state are wider: what is rounded is x, B, C and y, once each.
        """
        z_BTE, rest = torch.split(self.project_in(x_BTD), [self.inner, self.rest], dim=-1)
        x_BTHP, raw_BTH, write, read, tail_BJC = self._convolved(rest, state, lengths_B)
        if lengths_B is not None:
            padding_BT1 = ~valid_tokens(lengths_B, x_BTD)[..., None]
            raw_BTH = raw_BTH.masked_fill(padding_BT1, float("-inf"))
        y_BTHP, state_BHPN = cuda.selective_scan(
            x_BTHP,
            cuda.Steps(raw_BTH, self.step_bias_H, self.skip_H),
            derived(self, "rate", lambda: -self.log_rate_H.exp(), self.log_rate_H),
            write,
            read,
            state.state_BHPN,
            chunk=self.spec.chunk,
            in_place=owns_states(),
        )
        y_BTD = self.project_out(self.norm.gated(y_BTHP.flatten(2), z_BTE))
        return y_BTD, SSDState(tail_BJC, state_BHPN)

    def read(
        self, x_BTD: Tensor, state: SSDState, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, SSDState]:
        """Carry the state to the last tokens and look at it only there."""
        if not self._by_torch(x_BTD):
            return super().read(x_BTD, state, lengths_B)
        z_weight, rest_weight = torch.split(self.project_in.weight, [self.inner, self.rest])
        z_B1E = F.linear(last_token(x_BTD, lengths_B), z_weight)
        x_BTHP, step_BTH, write_BTGN, read_BTGN, tail_BJC = self._inputs(
            F.linear(x_BTD, rest_weight), state, lengths_B
        )
        state_BHPN = last_state(
            x_BTHP,
            step_BTH,
            -self.log_rate_H.to(x_BTHP.dtype).exp(),
            write_BTGN,
            state.state_BHPN,
        )
        read_B1GN = last_token(read_BTGN, lengths_B)
        per_group = self.spec.heads // self.spec.groups
        read_BHN1 = read_B1GN[:, 0].repeat_interleave(per_group, dim=1)[..., None]
        y_B1HP = (state_BHPN @ read_BHN1)[..., 0][:, None]
        ends = self._gated(y_B1HP, last_token(x_BTHP, lengths_B), z_B1E)
        return ends, SSDState(tail_BJC, state_BHPN)

    def _by_torch(self, x_BTD: Tensor) -> bool:
        return kernels.chosen("selective_scan", x_BTD.device, x_BTD.dtype) == kernels.TORCH

    def _inputs(
        self, rest_BTC: Tensor, state: SSDState, lengths_B: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """What the scan works on, x, dt, B and C, and the inputs the convolution carries on."""
        wide = state.state_BHPN.dtype
        x_BTHP, step_BTH, write, read, tail_BJC = self._convolved(rest_BTC, state, lengths_B)
        step_BTH = F.softplus(step_BTH.to(wide) + self.step_bias_H)
        if lengths_B is not None:
            step_BTH = step_BTH.masked_fill(~valid_tokens(lengths_B, rest_BTC)[..., None], 0)
        return x_BTHP.to(wide), step_BTH, write.to(wide), read.to(wide), tail_BJC

    def _convolved(
        self, rest_BTC: Tensor, state: SSDState, lengths_B: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """x, the raw dt, B and C as they come, and the inputs the convolution carries on."""
        spec = self.spec
        mixed, raw_BTH = torch.split(rest_BTC, [self.rest - spec.heads, spec.heads], dim=-1)
        mixed, tail_BJC = self.convolution(mixed, state.tail_BJC, lengths_B, silu=True)
        shared = spec.groups * spec.state
        x_BTE, write, read = torch.split(mixed, [self.inner, shared, shared], dim=-1)
        return (
            torch.unflatten(x_BTE, 2, (spec.heads, -1)),
            raw_BTH,
            torch.unflatten(write, 2, (spec.groups, -1)),
            torch.unflatten(read, 2, (spec.groups, -1)),
            tail_BJC,
        )

    def _gated(self, y_BTHP: Tensor, x_BTHP: Tensor, z_BTE: Tensor) -> Tensor:
        """Add what skips the scan; gate, normalise, project."""
        y_BTE = (y_BTHP + x_BTHP * self.skip_H[:, None]).flatten(2)
        projected: Tensor = self.project_out(self.norm.gated(y_BTE, z_BTE))
        return projected


def last_state(
    x_BTHP: Tensor, step_BTH: Tensor, rate_H: Tensor, write_BTGN: Tensor, state_BHPN: Tensor
) -> Tensor:
    """The last state of `selective_scan`, at once: what every token added, decayed to the end.

    Decays are summed from the end, so those of the last tokens, which count most, are exact.
    """
    per_group = x_BTHP.shape[2] // write_BTGN.shape[2]
    log_BTH = step_BTH * rate_H
    until_end_BTH = log_BTH.flip(1).cumsum(dim=1).flip(1)
    weight_BTH = step_BTH * (until_end_BTH - log_BTH).exp()
    x_BHPT = (x_BTHP * weight_BTH[..., None]).permute(0, 2, 3, 1)
    write_BHTN = write_BTGN.transpose(1, 2).repeat_interleave(per_group, dim=1)
    return until_end_BTH[:, 0].exp()[..., None, None] * state_BHPN + x_BHPT @ write_BHTN


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
    """Outputs and last state of h_t = exp(dt_t a) h_{t-1} + dt_t x_t write_t^T, y_t = h_t read_t.

    dt is the step and a, negative, the rate of each head.
    Inside a chunk every pair of tokens is combined directly (section 6 of the paper); between
    chunks only the state is carried. All exponents are sums of negative numbers, so nothing
    overflows however strong the decay.
    """
    tokens, heads = x_BTHP.shape[1], x_BTHP.shape[2]
    size = min(chunk, tokens)
    per_group = heads // write_BTGN.shape[2]
    x_BCHLP = in_chunks(x_BTHP * step_BTH[..., None], size).transpose(2, 3)
    log_BCHL = in_chunks(step_BTH * rate_H, size).transpose(2, 3).cumsum(dim=-1)
    write_BCGLN = in_chunks(write_BTGN, size).transpose(2, 3)
    read_BCGLN = in_chunks(read_BTGN, size).transpose(2, 3)
    scores_BCGLL = read_BCGLN @ write_BCGLN.transpose(-1, -2)
    pairs_BCHLL = scores_BCGLL.repeat_interleave(per_group, dim=2) * decays_between(log_BCHL)
    y_BCHLP = pairs_BCHLL @ x_BCHLP
    to_end_BCHL = (log_BCHL[..., -1:] - log_BCHL).exp()
    write_BCHLN = write_BCGLN.repeat_interleave(per_group, dim=2)
    added_BCHPN = (x_BCHLP * to_end_BCHL[..., None]).transpose(-1, -2) @ write_BCHLN
    whole_BCH = log_BCHL[..., -1].exp()
    before = []
    for decay_BH, added_BHPN in zip(whole_BCH.unbind(1), added_BCHPN.unbind(1), strict=True):
        before.append(state_BHPN)
        state_BHPN = decay_BH[..., None, None] * state_BHPN + added_BHPN
    read_BCHLN = read_BCGLN.repeat_interleave(per_group, dim=2)
    carried_BCHLP = read_BCHLN @ torch.stack(before, dim=1).transpose(-1, -2)
    y_BCHLP = y_BCHLP + carried_BCHLP * log_BCHL.exp()[..., None]
    return y_BCHLP.transpose(2, 3).flatten(1, 2)[:, :tokens], state_BHPN
