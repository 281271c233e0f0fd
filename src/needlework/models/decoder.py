"""One decoder for every architecture: embedding, residual layers, norm, head.

Knows how layers are put together; does not know what a mixer does or where weights come from.
"""

# Shapes: B batch, T tokens, D width, V vocabulary rows.
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from needlework.models import config, kernels
from needlework.models.attention import Attention
from needlework.models.config import DecoderConfig
from needlework.models.gated_delta import GatedDelta
from needlework.models.mixer import Mixer
from needlework.models.mlp import MLP
from needlework.models.norms import build_norm
from needlework.models.padding import last_token
from needlework.models.rglru import RGLRU
from needlework.models.rwkv6 import ChannelMix, TimeMix
from needlework.models.sharing import one_call
from needlework.models.slots import DecoderSlots
from needlework.models.ssd import SSD
from needlework.models.state import DecoderState, LayerState

MIXERS: dict[type, type[Mixer[Any]]] = {
    config.Attention: Attention,
    config.SSD: SSD,
    config.GatedDelta: GatedDelta,
    config.RGLRU: RGLRU,
    config.TimeMix: TimeMix,
    config.ChannelMix: ChannelMix,
    config.MLP: MLP,
}


class Residual(nn.Module):
    """x + mixer(norm(x))."""

    def __init__(self, spec: config.MixerConfig, norm: config.Norm, width: int) -> None:
        super().__init__()
        self.norm = build_norm(norm, width)
        self.mixer: Mixer[LayerState] = MIXERS[type(spec)](width, spec)

    def init_state(self, batch: int) -> LayerState:
        """The mixer's state before any token."""
        return self.mixer.init_state(batch)

    def forward(
        self, x_BTD: Tensor, update_BTD: Tensor | None, state: LayerState, lengths_B: Tensor | None
    ) -> tuple[Tensor, Tensor, LayerState]:
        """The residual stream with what the layer before adds to it, what this one adds, its state.

        What is added is handed on, and not yet added, so that one kernel can do both: the sum and
        the norm that follows.
        """
        x_BTD, normal_BTD = self.norm.after(x_BTD, update_BTD)
        y_BTD, state = self.mixer(normal_BTD, state, lengths_B)
        return x_BTD, y_BTD, state

    def read(
        self, x_BTD: Tensor, update_BTD: Tensor | None, state: LayerState, lengths_B: Tensor | None
    ) -> tuple[Tensor, Tensor, LayerState]:
        """The same at the last valid token of every row, of shape (B, 1, D)."""
        x_BTD, normal_BTD = self.norm.after(x_BTD, update_BTD)
        y_B1D, state = self.mixer.read(normal_BTD, state, lengths_B)
        return last_token(x_BTD, lengths_B), y_B1D, state


class Decoder(nn.Module):
    """A causal language model whose whole history is the state it is given."""

    def __init__(self, spec: DecoderConfig) -> None:
        super().__init__()
        self.config = spec
        self.embedding = nn.Embedding(spec.padded_vocabulary, spec.width)
        self.embedding_norm = build_norm(spec.norm, spec.width) if spec.embedding_norm else None
        self.layers = nn.ModuleList(Residual(layer, spec.norm, spec.width) for layer in spec.layers)
        self.norm = build_norm(spec.norm, spec.width)
        self.head = nn.Linear(spec.width, spec.padded_vocabulary, bias=False)
        if spec.tied:
            self.head.weight = self.embedding.weight

    @property
    def reads_in_pieces(self) -> bool:
        """Whether a prompt may be cut and its beginning shared; a hazard may forbid it."""
        return not self.config.one_shot

    @property
    def steps_in_place(self) -> bool:
        """Whether a step works in the memory of slots alone, so that it can be recorded."""
        return True

    @property
    def writes_beside_prefix(self) -> bool:
        """Whether rows may look at what all of them begin with where it lies, by our own kernel."""
        weight = self.embedding.weight
        looks = kernels.looks_beside(weight.device, weight.dtype)
        return self.config.grows and self.reads_in_pieces and looks

    def prepare(self, prompts: Sequence[npt.NDArray[np.int32]], written: int) -> None:
        """Settle how prompts like these may be read, with answers of up to `written` tokens.

        What we compute ourselves continues exactly at every length; the library's may not.
        """

    def init_state(self, batch: int) -> DecoderState:
        """The state of `batch` sequences before any token."""
        return DecoderState(tuple(cast(Residual, layer).init_state(batch) for layer in self.layers))

    def resumed(self, state: DecoderState) -> DecoderState:
        """The same state, behind which whatever has gone on from it is given up."""
        mixers = (cast(Residual, layer).mixer for layer in self.layers)
        pairs = zip(mixers, state.layers, strict=True)
        return DecoderState(tuple(mixer.resumed(each) for mixer, each in pairs))

    def as_prefix(self, state: DecoderState) -> DecoderState:
        """A row that goes on from this one, which stays where it is while others begin with it."""
        mixers = (cast(Residual, layer).mixer for layer in self.layers)
        pairs = zip(mixers, state.layers, strict=True)
        return DecoderState(tuple(mixer.as_prefix(each) for mixer, each in pairs))

    def slots(self, rows: int, columns: int, answer: int, begun: int = 0) -> DecoderSlots:
        """Storage for rows of `columns` tokens, of which up to `answer` are written one by one.

        They go on from `begun` tokens that all of them have read.
        """
        mixers = (cast(Residual, layer).mixer for layer in self.layers)
        return DecoderSlots([mixer.slots(rows, columns, answer, begun) for mixer in mixers])

    def forward(
        self, tokens_BT: Tensor, state: DecoderState, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, DecoderState]:
        """Logits of shape (B, T, V) after every token, and the state after the last valid one."""
        h_BTD, state = self.hidden(tokens_BT, state, lengths_B)
        return self.logits(h_BTD), state

    def hidden(
        self, tokens_BT: Tensor, state: DecoderState, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, DecoderState]:
        """What the head reads, of shape (B, T, D).

        Row b has `lengths_B[b]` valid tokens, on the left; at the others the result is undefined.
        """
        x_BTD, update_BTD = self._embed(tokens_BT), None
        states = []
        with one_call():
            for layer, layer_state in zip(self.layers, state.layers, strict=True):
                x_BTD, update_BTD, layer_state = layer(x_BTD, update_BTD, layer_state, lengths_B)
                states.append(layer_state)
        return self.norm.after(x_BTD, update_BTD)[1], DecoderState(tuple(states))

    def read(
        self, tokens_BT: Tensor, state: DecoderState, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, DecoderState]:
        """What the head reads at the last valid token of every row, of shape (B, D), and the state.

        No other token is wanted from the last layer with a memory on: whatever serves only them
        is left out, in a model of two blocks almost half of the work.
        """
        x_BTD, update_BTD = self._embed(tokens_BT), None
        last = self.config.last_memory
        states = []
        with one_call():
            for index, (each, layer_state) in enumerate(
                zip(self.layers, state.layers, strict=True)
            ):
                layer, given = cast(Residual, each), (x_BTD, update_BTD, layer_state)
                if index == last:
                    x_BTD, update_BTD, layer_state = layer.read(*given, lengths_B)
                else:
                    valid_B = lengths_B if index < last else None
                    x_BTD, update_BTD, layer_state = layer(*given, valid_B)
                states.append(layer_state)
        return self.norm.after(x_BTD, update_BTD)[1][:, 0], DecoderState(tuple(states))

    def following(
        self, tokens_BT: Tensor, state: DecoderState, lengths_B: Tensor | None = None
    ) -> Tensor:
        """What the head reads after each of these tokens, of shape (B, T, D).

        Row b has `lengths_B[b]` valid tokens, on the left; at the others the result is undefined.
        """
        hidden_BTD, _ = self.hidden(tokens_BT, state, lengths_B)
        return hidden_BTD

    def write(self, tokens_B1: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """`read` of one more token a row; the state that is given must not be used any more.

        What it holds may be overwritten, so it has to belong to the caller alone.
        """
        with one_call(owns_states=True):
            return self.read(tokens_B1, state)

    def logits(self, h: Tensor) -> Tensor:
        """Scores of every row of the vocabulary over the last axis, padded rows included."""
        logits: Tensor = self.head(h)
        if self.config.logit_cap is not None:
            logits = self.config.logit_cap * torch.tanh(logits / self.config.logit_cap)
        return logits

    def logits_at(self, tokens_T: Tensor, positions_P: Tensor) -> Tensor:
        """Logits of shape (P, V) after the tokens at P positions of one sequence, in one pass."""
        hidden_BTD, _ = self.hidden(tokens_T[None], self.init_state(1))
        return self.logits(hidden_BTD[0, positions_P])

    def _embed(self, tokens_BT: Tensor) -> Tensor:
        x_BTD: Tensor = self.embedding(tokens_BT)
        if self.config.embedding_scale != 1.0:
            x_BTD = x_BTD * self.config.embedding_scale
        if self.embedding_norm is not None:
            x_BTD = self.embedding_norm(x_BTD)
        if self.config.residual_float32:
            x_BTD = x_BTD.to(torch.promote_types(x_BTD.dtype, torch.float32))
        return x_BTD


def one_by_one(
    decoder: Decoder, tokens_BT: Tensor, state: DecoderState, lengths_B: Tensor | None
) -> Tensor:
    """What `read` gives after each of these tokens, along a second axis; as `Decoder.following`."""
    steps = []
    for place in range(tokens_BT.shape[1]):
        valid_B = None if lengths_B is None else (lengths_B > place).long()
        last, state = decoder.read(tokens_BT[:, place : place + 1], state, valid_B)
        steps.append(last)
    return torch.stack(steps, dim=1)
