"""The recurrent block of Griffin: a gated diagonal recurrence (arXiv:2402.19427)."""

# Shapes: B batch, T tokens, D width, E recurrent width, K blocks of the gates, I = E / K,
# C chunks, L tokens per chunk, J inputs the convolution carries.
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from needlework.models import config, cuda, kernels
from needlework.models.convolution import CausalConvolution
from needlework.models.mixer import Mixer, derived, uniform
from needlework.models.padding import in_chunks, last_token, valid_tokens
from needlework.models.pointwise import fuses, gated
from needlework.models.state import RowState

SHARPNESS = 8.0
"""The constant c of the paper's equation 4."""
CHUNK = 32
"""Tokens combined by doubling before the state is carried on; any value gives the same result."""


@dataclass(frozen=True)
class RGLRUState(RowState):
    """Convolution inputs, the diagonal state in float32 or wider, and how many tokens were read."""

    tail_BJE: Tensor
    state_BE: Tensor
    position_B: Tensor


class RGLRU(Mixer[RGLRUState]):
    """out(gelu(y(x)) * RG-LRU(convolution(x(x)))); rows of `project_in` are [y, x]."""

    wide = ("decay_E",)

    def __init__(self, width: int, spec: config.RGLRU) -> None:
        super().__init__()
        self.spec = spec
        block = spec.width // spec.blocks
        self.project_in = nn.Linear(width, 2 * spec.width, bias=spec.bias)
        self.convolution = CausalConvolution(spec.width, spec.convolution)
        self.decay_E = nn.Parameter(torch.zeros(spec.width))
        self.input_gate_KII = nn.Parameter(torch.zeros(spec.blocks, block, block))
        self.input_bias_KI = nn.Parameter(torch.zeros(spec.blocks, block))
        self.decay_gate_KII = nn.Parameter(torch.zeros(spec.blocks, block, block))
        self.decay_bias_KI = nn.Parameter(torch.zeros(spec.blocks, block))
        self.project_out = nn.Linear(spec.width, width, bias=spec.bias)

    def initialise(self, generator: torch.Generator) -> None:
        """Decays whose square is uniform in [0.9, 0.999] squared, at an open gate (section 2.4)."""
        for gate_KII in (self.input_gate_KII, self.decay_gate_KII):
            gate_KII.normal_(0, sqrt(1 / gate_KII.shape[1]), generator=generator)
        square_E = uniform(self.decay_E, 0.9**2, 0.999**2, generator)
        self.decay_E.copy_(torch.log(torch.expm1(-0.5 * square_E.log() / SHARPNESS)))

    def init_state(self, batch: int) -> RGLRUState:
        """No tokens read yet."""
        like = self.project_in.weight
        wide = torch.promote_types(like.dtype, torch.float32)
        return RGLRUState(
            self.convolution.init_tail(batch),
            like.new_zeros(batch, self.spec.width, dtype=wide),
            torch.zeros(batch, dtype=torch.long, device=like.device),
        )

    def forward(
        self, x_BTD: Tensor, state: RGLRUState, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, RGLRUState]:
        """Read T new tokens."""
        y_BTE, u_BTE = self.project_in(x_BTD).chunk(2, dim=-1)
        h_BTE, state = self._recur(u_BTE, state, lengths_B)
        return self._gated(y_BTE, h_BTE), state

    def read(
        self, x_BTD: Tensor, state: RGLRUState, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, RGLRUState]:
        """Gate and project the last tokens alone."""
        y_BTE, u_BTE = self.project_in(x_BTD).chunk(2, dim=-1)
        h_BTE, state = self._recur(u_BTE, state, lengths_B)
        return self._gated(last_token(y_BTE, lengths_B), last_token(h_BTE, lengths_B)), state

    def _recur(
        self, u_BTE: Tensor, state: RGLRUState, lengths_B: Tensor | None
    ) -> tuple[Tensor, RGLRUState]:
        """The recurrence over the convolved inputs."""
        tokens, dtype, device = u_BTE.shape[1], u_BTE.dtype, u_BTE.device
        u_BTE, tail_BJE = self.convolution(u_BTE, state.tail_BJE, lengths_B)
        log_decay_BTE, input_BTE = self._gates(u_BTE, state.position_B)
        if lengths_B is not None:
            padding_BT1 = ~valid_tokens(lengths_B, u_BTE)[..., None]
            log_decay_BTE = log_decay_BTE.masked_fill(padding_BT1, 0)
            input_BTE = input_BTE.masked_fill(padding_BT1, 0)
        scan = diagonal_scan
        if kernels.chosen("diagonal_scan", device, dtype) != kernels.TORCH:
            scan = cuda.diagonal_scan
        h_BTE, state_BE = scan(log_decay_BTE, input_BTE, state.state_BE)
        new = tokens if lengths_B is None else lengths_B
        return h_BTE, RGLRUState(tail_BJE, state_BE, state.position_B + new)

    def _gated(self, y_BTE: Tensor, h_BTE: Tensor) -> Tensor:
        projected: Tensor = self.project_out(gated(y_BTE, h_BTE, "gelu_tanh"))
        return projected

    def _gates(self, u_BTE: Tensor, position_B: Tensor) -> tuple[Tensor, Tensor]:
        """log a = -c r softplus(Lambda) and sqrt(1 - a^2) i u (equations 1 to 4).

        The first token of a sequence enters unscaled, as both published implementations do.
        Everything is float32 or wider: in bfloat16 a decay of 0.999 rounds to 1. On CUDA the
        matrices of the gates multiply in the dtype they are stored in, with sums in float32.
        """
        if fuses(u_BTE):
            return self._fused_gates(u_BTE, position_B)
        u_BTE = u_BTE.to(torch.promote_types(u_BTE.dtype, torch.float32))
        u_BTKI = torch.unflatten(u_BTE, 2, (self.spec.blocks, -1))
        admit = _blockwise(u_BTKI, self.input_gate_KII, self.input_bias_KI)
        forget = _blockwise(u_BTKI, self.decay_gate_KII, self.decay_bias_KI)
        log_decay_BTE = -SHARPNESS * forget * F.softplus(self.decay_E.to(u_BTE.dtype))
        scale_BTE = torch.sqrt(-torch.expm1(2 * log_decay_BTE))
        position_BT = position_B[:, None] + torch.arange(u_BTE.shape[1], device=u_BTE.device)
        scale_BTE = torch.where((position_BT == 0)[..., None], 1.0, scale_BTE)
        return log_decay_BTE, scale_BTE * admit * u_BTE

    def _fused_gates(self, u_BTE: Tensor, position_B: Tensor) -> tuple[Tensor, Tensor]:
        from needlework.models import fused_recurrent

        gates = self.input_gate_KII, self.decay_gate_KII
        biases = self.input_bias_KI, self.decay_bias_KI
        weight_KIJ = derived(self, "gates", lambda: torch.cat(gates, dim=-1), *gates)
        bias_KJ = derived(self, "biases", lambda: torch.cat(biases, dim=-1), *biases)
        rate_E = derived(self, "rate", lambda: -SHARPNESS * F.softplus(self.decay_E), self.decay_E)
        u_KNI = torch.unflatten(u_BTE.flatten(0, 1), 1, (self.spec.blocks, -1)).transpose(0, 1)
        mapped_KNJ = cuda.wide_products(u_KNI, weight_KIJ)
        return fused_recurrent.lru_gates(u_BTE, mapped_KNJ, bias_KJ, rate_E, position_B)


def _blockwise(u_BTKI: Tensor, weight_KII: Tensor, bias_KI: Tensor) -> Tensor:
    """sigmoid of a block-diagonal linear map; shape (B, T, E)."""
    mapped = torch.einsum("btki,kij->btkj", u_BTKI, weight_KII.to(u_BTKI.dtype))
    return torch.sigmoid(mapped + bias_KI).flatten(2)


def diagonal_scan(
    log_decay_BTE: Tensor, input_BTE: Tensor, state_BE: Tensor
) -> tuple[Tensor, Tensor]:
    """All h_t = exp(log_decay_t) h_{t-1} + input_t, and the last one.

    Chunks are scanned by doubling (Hillis and Steele, 1986), then the state is carried across them.
    """
    tokens = input_BTE.shape[1]
    size = min(CHUNK, tokens)
    decay_BCLE = in_chunks(log_decay_BTE, size).exp()
    h_BCLE = in_chunks(input_BTE, size)
    shift = 1
    while shift < size:
        moved = decay_BCLE[:, :, shift:]
        h_BCLE = torch.cat(
            [h_BCLE[:, :, :shift], h_BCLE[:, :, shift:] + moved * h_BCLE[:, :, :-shift]], dim=2
        )
        decay_BCLE = torch.cat([decay_BCLE[:, :, :shift], moved * decay_BCLE[:, :, :-shift]], dim=2)
        shift *= 2
    before = []
    for decay_BE, h_BE in zip(
        decay_BCLE[:, :, -1].unbind(1), h_BCLE[:, :, -1].unbind(1), strict=True
    ):
        before.append(state_BE)
        state_BE = decay_BE * state_BE + h_BE
    h_BCLE = h_BCLE + decay_BCLE * torch.stack(before, dim=1)[:, :, None]
    return h_BCLE.flatten(1, 2)[:, :tokens], state_BE
