"""Parameters, FLOPs and state of a decoder from its configuration alone.

Adds up what the record of each layer says of itself (`models.layer_cost`); devices, tasks and
seconds come later.
"""

import math
from functools import cache
from typing import NamedTuple

from needlework.models.config import DecoderConfig
from needlework.models.layer import LayerCost

WIDE_BYTES = 4
"""Recurrent states are float32 whatever the weights are."""
COUNTER_BYTES = 8
"""RG-LRU counts the tokens it has read, in one integer a row."""


class Decoder(NamedTuple):
    """What a whole decoder costs."""

    spec: DecoderConfig
    layers: tuple[LayerCost, ...]

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

    @property
    def wide_bytes(self) -> int:
        """Of that, what is in float32 whatever the weights are."""
        return WIDE_BYTES * sum(layer.wide_elements for layer in self.layers)

    def key_bytes(self, tokens: int, width: int) -> int:
        """The part that grows: keys and values. A window forgets when it has twice its size."""
        return width * sum(
            layer.key_elements * (tokens if layer.window is None else min(tokens, 2 * layer.window))
            for layer in self.layers
        )

    @property
    def growing_elements(self) -> int:
        """Numbers that the layers keep of every token, windows aside."""
        return sum(layer.key_elements for layer in self.layers if layer.window is None)

    def least_saved(self, width: int) -> float:
        """Tokens of keys that prompts beside a prefix must be spared, all together, to be a group.

        At the end of a group places stay empty, and the weights are read for fewer rows: at most
        once more for each token of an answer. So that is what its prefix has to outweigh. Infinite
        where nothing grows with the tokens.
        """
        keys = width * self.growing_elements
        return self.step_bytes(width) / keys if keys else math.inf

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
        widest = (layer.widest * width + layer.wide_places * WIDE_BYTES for layer in self.layers)
        return stream + max(widest, default=0)


@cache
def costs(spec: DecoderConfig) -> Decoder:
    """The costs of a decoder."""
    kinds = {layer: layer.cost(spec.width) for layer in set(spec.layers)}
    return Decoder(spec, tuple(kinds[layer] for layer in spec.layers))


def _seen(layer: LayerCost, position: float) -> float:
    return position if layer.window is None else min(position, layer.window)


def _key_flops(layer: LayerCost, start: float, end: float) -> float:
    return layer.key * (_seen_until(layer, end) - _seen_until(layer, start))


def _seen_until(layer: LayerCost, tokens: float) -> float:
    """Keys seen by the first `tokens` queries together, each its own and all before it."""
    short = tokens if layer.window is None else min(tokens, layer.window)
    return short * (short + 1) / 2 + (tokens - short) * short
