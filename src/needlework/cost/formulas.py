"""Parameters, FLOPs and state of a decoder from its configuration alone.

A FLOP is one multiplication or one addition of a matrix product or convolution; what is computed
element by element is left out, as is usual (Kaplan et al., arXiv:2001.08361, section 2.1: 2 FLOPs a
parameter and token). The terms of the recurrences are those of the chunked algorithms that
`models/` runs: Mamba2 arXiv:2405.21060 section 6, RWKV-6 arXiv:2404.05892, RG-LRU arXiv:2402.19427.
"""

# Letters as in models/: d width, H heads, G key/value heads or groups, P and K channels per head,
# N state channels, E inner width, C channels of a convolution, L tokens of a chunk.
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from needlework.models.config import (
    MLP,
    RGLRU,
    SSD,
    Attention,
    ChannelMix,
    DecoderConfig,
    TimeMix,
)

WIDE_BYTES = 4
"""Recurrent states are float32 whatever the weights are."""
COUNTER_BYTES = 8
"""RG-LRU counts the tokens it has read, in one integer a row."""


class Layer(NamedTuple):
    """What one mixer costs."""

    parameters: int
    matrices: int
    """FLOPs of a token through matrices and convolutions, recurrences aside."""
    chunked: int = 0
    """FLOPs of a token in the recurrence while a prompt is read in whole chunks."""
    alone: int = 0
    """The same for a token that is read by itself, as answers are written."""
    ending: int = 0
    """FLOPs that serve a token's result and not the state: the last layer spares all but one."""
    key: int = 0
    """FLOPs of a query for every key it sees."""
    window: int | None = None
    """Keys a query sees at most; None for all."""
    key_elements: int = 0
    """Numbers kept for every token."""
    kept_elements: int = 0
    """Numbers kept whatever the length, in the dtype of the weights."""
    wide_elements: int = 0
    """Those kept in float32."""
    counters: int = 0
    widest: int = 0
    """Numbers a token has at the mixer's widest place, in the dtype of the weights."""
    wide_places: int = 0
    """Numbers a token has in float32 inside the recurrence, pairs of a chunk included."""

    @property
    def remembering(self) -> int:
        """FLOPs of a token of which only the state is needed; no pairs of a chunk are needed then.

        Time mixing, which has no such way, is never the last layer with a memory.
        """
        return self.matrices + self.alone - self.ending


def _attention(d: int, spec: Attention) -> Layer:
    heads = spec.heads * spec.head_width
    channels = heads + 2 * spec.kv_heads * spec.head_width
    taps = spec.convolution or 0
    tails = (2 if spec.convolved_tail else 1) * max(0, taps - 1) * channels
    return Layer(
        parameters=d * channels
        + channels * bool(spec.qkv_bias)
        + heads * d
        + d * bool(spec.output_bias)
        + channels * (taps + 1 if taps else 0),
        matrices=2 * d * channels + 2 * heads * d + 2 * taps * channels,
        ending=2 * heads * d,
        key=4 * heads,
        window=spec.window,
        key_elements=2 * spec.kv_heads * spec.head_width,
        kept_elements=tails,
        widest=2 * channels + heads,
    )


def _ssd(d: int, spec: SSD) -> Layer:
    inner, shared = spec.heads * spec.head_width, spec.groups * spec.state
    channels, taps = inner + 2 * shared, spec.convolution
    rows = inner + channels + spec.heads
    state = inner * spec.state
    return Layer(
        parameters=d * rows + channels * (taps + 1) + 3 * spec.heads + inner + inner * d,
        matrices=2 * d * rows + 2 * taps * channels + 2 * inner * d,
        # Every token with those of its chunk, reads times writes and then times inputs.
        chunked=2 * spec.chunk * (shared + inner) + 4 * state,
        alone=4 * state,
        ending=2 * d * inner + 2 * state + 2 * inner * d,
        kept_elements=(taps - 1) * channels,
        wide_elements=state,
        widest=rows + channels,
        wide_places=3 * spec.heads * spec.chunk + 6 * inner + 2 * spec.heads * spec.state,
    )


def _rglru(d: int, spec: RGLRU) -> Layer:
    width, taps = spec.width, spec.convolution
    gates = 2 * width * (width // spec.blocks)
    return Layer(
        parameters=d * 2 * width
        + bool(spec.bias) * (2 * width + d)
        + width * (taps + 1)
        + width
        + gates
        + 2 * width
        + width * d,
        matrices=2 * d * 2 * width + 2 * taps * width + 2 * gates + 2 * width * d,
        ending=2 * width * d,
        kept_elements=(taps - 1) * width,
        wide_elements=width,
        counters=1,
        widest=4 * width,
        wide_places=10 * width,
    )


def _time_mix(d: int, spec: TimeMix) -> Layer:
    inner, width = spec.heads * spec.head_width, spec.head_width
    low_rank = 10 * d * spec.shift_rank + 2 * d * spec.decay_rank
    state = inner * width
    return Layer(
        parameters=7 * d + low_rank + inner + 5 * d * inner + 2 * inner,
        matrices=2 * low_rank + 2 * 5 * d * inner,
        chunked=2 * spec.chunk * 2 * inner + 4 * state,
        alone=2 * 2 * inner + 4 * state,
        kept_elements=d,
        wide_elements=state,
        widest=7 * d + 4 * inner,
        wide_places=12 * inner + 2 * spec.heads * spec.chunk,
    )


def _channel_mix(d: int, spec: ChannelMix) -> Layer:
    matrices = d * spec.hidden + spec.hidden * d + d * d
    return Layer(
        parameters=2 * d + matrices,
        matrices=2 * matrices,
        ending=2 * matrices,
        kept_elements=d,
        widest=2 * spec.hidden + 2 * d,
    )


def _mlp(d: int, spec: MLP) -> Layer:
    matrices = 3 * d * spec.hidden
    return Layer(
        parameters=matrices + bool(spec.bias) * (2 * spec.hidden + d),
        matrices=2 * matrices,
        ending=2 * matrices,
        widest=4 * spec.hidden,
    )


_LAYERS: dict[type, Callable[[int, Any], Layer]] = {
    Attention: _attention,
    SSD: _ssd,
    RGLRU: _rglru,
    TimeMix: _time_mix,
    ChannelMix: _channel_mix,
    MLP: _mlp,
}


class Decoder(NamedTuple):
    """What a whole decoder costs."""

    spec: DecoderConfig
    layers: tuple[Layer, ...]

    @property
    def parameters(self) -> int:
        """All of them, tied ones once."""
        d, norm = self.spec.width, 2 if self.spec.norm.kind == "layer" else 1
        norms = (len(self.layers) + 1 + self.spec.embedding_norm) * norm * d
        tables = self.vocabulary_parameters * (1 if self.spec.tied else 2)
        return tables + norms + sum(layer.parameters for layer in self.layers)

    @property
    def vocabulary_parameters(self) -> int:
        """Of the head, or of the embedding."""
        return self.spec.padded_vocabulary * self.spec.width

    def read_flops(self, start: float, end: float) -> float:
        """To read tokens [start, end) of one prompt after the ones before; no logits.

        From the last layer with a memory on, everything but states is for the last token alone.
        """
        last = self.spec.last_memory
        below, above = self.layers[:last], self.layers[last:]
        each = sum(layer.matrices + layer.chunked for layer in below) + above[0].remembering
        keys = sum(_key_flops(layer, start, end) for layer in below)
        keys += above[0].key * _seen(above[0], end)
        return each * (end - start) + keys + sum(layer.ending for layer in above)

    def write_flops(self, position: float) -> float:
        """To write one token after so many: every layer, and the head."""
        each = sum(layer.matrices + layer.alone for layer in self.layers)
        seen = sum(layer.key * _seen(layer, position) for layer in self.layers)
        return each + seen + self.logit_flops

    @property
    def logit_flops(self) -> int:
        """Of the head at one position."""
        return 2 * self.vocabulary_parameters

    def row_bytes(self, tokens: int, width: int) -> int:
        """The state of one row after `tokens` tokens; `width` is the bytes of a weight."""
        return self.fixed_bytes(width) + self.key_bytes(tokens, width)

    def fixed_bytes(self, width: int) -> int:
        """The part of a row's state that does not grow."""
        return sum(
            layer.kept_elements * width
            + layer.wide_elements * WIDE_BYTES
            + layer.counters * COUNTER_BYTES
            for layer in self.layers
        )

    def key_bytes(self, tokens: int, width: int) -> int:
        """The part that grows: keys and values. A window forgets when it has twice its size."""
        return width * sum(
            layer.key_elements * (tokens if layer.window is None else min(tokens, 2 * layer.window))
            for layer in self.layers
        )

    def most_keys(self, tokens: int) -> int:
        """Keys that some layer keeps of a row; 0 without attention."""
        kept = [
            tokens if layer.window is None else min(tokens, 2 * layer.window)
            for layer in self.layers
            if layer.key_elements
        ]
        return max(kept, default=0)

    def step_bytes(self, width: int) -> int:
        """Weights read to write one token: all but an embedding that is not also the head."""
        spared = 0 if self.spec.tied else self.vocabulary_parameters
        return width * (self.parameters - spared)

    def call_bytes(self, width: int) -> int:
        """What one token of a forward call holds at its widest place, residual stream included."""
        stream = self.spec.width * (2 * WIDE_BYTES if self.spec.residual_float32 else 2 * width)
        widest = max(layer.widest * width + layer.wide_places * WIDE_BYTES for layer in self.layers)
        return stream + widest


@cache
def costs(spec: DecoderConfig) -> Decoder:
    """The costs of a decoder."""
    kinds = {layer: _LAYERS[type(layer)](spec.width, layer) for layer in set(spec.layers)}
    return Decoder(spec, tuple(kinds[layer] for layer in spec.layers))


def _seen(layer: Layer, position: float) -> float:
    return position if layer.window is None else min(position, layer.window)


def _key_flops(layer: Layer, start: float, end: float) -> float:
    return layer.key * (_seen_until(layer, end) - _seen_until(layer, start))


def _seen_until(layer: Layer, tokens: float) -> float:
    """Keys seen by the first `tokens` queries together, each its own and all before it."""
    short = tokens if layer.window is None else min(tokens, layer.window)
    return short * (short + 1) / 2 + (tokens - short) * short
