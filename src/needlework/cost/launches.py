"""What a step of writing takes on a GPU beside what it moves: the kernels that are launched in it.

Launches are counted (`python -m benchmarks launches`), what each takes is assumed: recorded steps
are replayed (`engine.recording`), of which none has yet been run on a GPU.
"""

from collections.abc import Mapping

from needlework.cost.room import UNSEEN
from needlework.models.config import MLP, ChannelMix, DecoderConfig

A_BLOCK: Mapping[str, float] = {
    "mamba2": 388 / 64,
    "mamba2attn": 433 / 64,
    "transformerpp": 475 / 32,
    "recurrent_gemma": 371 / 26,
    "llama": 474 / 32,
    "rwkv6": 740 / 32,
}
"""Launches of a step of rows of unequal length, a mixer of tokens with the mixer of channels behind
it, by family: counted for the checkpoints of the paper in bfloat16, without flash-attn."""
A_BLOCK_OTHERWISE = 15.0
LAUNCHED = 5e-6
"""Seconds of a launch by the host, assumed; the device waits for it where a batch is small."""
REPLAYED = 1.5e-6
"""Seconds by which a launch in a graph delays the next, assumed."""
BLOCK = 100e-6
"""Seconds that the host takes between two blocks of steps, assumed: a copy in, a replay, a copy
back, and what becomes of the tokens."""


def launches(spec: DecoderConfig) -> float:
    """Kernels of one step of writing."""
    blocks = sum(not isinstance(layer, MLP | ChannelMix) for layer in spec.layers)
    return blocks * A_BLOCK.get(spec.family, A_BLOCK_OTHERWISE)


def replayed_seconds(spec: DecoderConfig) -> float:
    """What a step takes beside what it moves where blocks of steps are replayed."""
    return launches(spec) * REPLAYED + BLOCK / UNSEEN
