"""What slots mean, said slowly: every row a state of its own, copied whenever rows change."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from needlework.models.attention import AttentionState
from needlework.models.config import Attention
from needlework.models.decoder import Decoder
from needlework.models.key_values import KeyValueBuffer, KeyValueState
from needlework.models.slots import DecoderSlots
from needlework.models.state import DecoderState


class Copies(DecoderSlots):
    """Rows side by side are put together anew each time that anybody looks at them."""

    def __init__(self, decoder: Decoder, rows: int) -> None:
        super().__init__([])
        self.decoder = decoder
        self.states = [decoder.init_state(1)] * rows

    def begin(self, start: int, states: Sequence[DecoderState]) -> DecoderState:
        del start
        return DecoderState.stack(states)

    def put(self, start: int, state: DecoderState) -> None:
        for row in range(rows_of(state)):
            self.states[start + row] = self._seen(state.select(torch.tensor([row])))

    def rows(self, start: int, stop: int) -> DecoderState:
        return DecoderState.stack(self.states[start:stop])

    def keep(self, state: DecoderState, order: Sequence[int]) -> None:
        kept = [state.select(torch.tensor([old])) for old in order]
        self.states[: len(kept)] = kept

    def clear(self, slot: int) -> None:
        self.states[slot] = self.decoder.init_state(1)

    def wipe(self, start: int, stop: int) -> None:
        del start, stop

    def _seen(self, state: DecoderState) -> DecoderState:
        """The same without what a window has hidden."""
        layers = list(state.layers)
        for index, (layer, spec) in enumerate(zip(layers, self.decoder.config.layers, strict=True)):
            if isinstance(layer, AttentionState):
                assert isinstance(spec, Attention)
                layers[index] = replace(layer, cache=seen(layer.cache, spec.window))
        return DecoderState(tuple(layers))


def seen(cache: KeyValueState, window: int | None) -> KeyValueState:
    """Of one row, the columns that a window sees."""
    if window is None or cache.longest <= window:
        return cache
    keys, values = (each[:, :, -window:].clone() for each in cache.columns(cache.longest))
    length_B = torch.full_like(cache.length_B, window)
    buffer = KeyValueBuffer(keys, values)
    return KeyValueState(buffer, 0, length_B, cache.position_B, window, True)


def rows_of(state: DecoderState) -> int:
    """How many rows a state has."""
    for layer in state.layers:
        if isinstance(layer, AttentionState):
            return len(layer.cache.length_B)
        if tensors := layer.tensors:  # type: ignore[attr-defined]
            return len(tensors[0])
    raise AssertionError("nothing is remembered")
