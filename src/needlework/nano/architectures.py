"""The nano architectures: published families at about half a million parameters.

Layer patterns follow the published models; widths were chosen so that all are within 10 % of the
same number of parameters.
"""

from math import sqrt

from needlework.models.config import (
    MLP,
    RGLRU,
    SSD,
    Attention,
    ChannelMix,
    DecoderConfig,
    GatedDelta,
    MixerConfig,
    Norm,
    TimeMix,
)

WIDTH = 128
TRAINED_LENGTH = 256
"""Tokens of the longest training sequence, for every architecture."""

_ATTENTION = Attention(heads=4, kv_heads=4, head_width=32, rotary_width=32)
_GROUPED = Attention(heads=4, kv_heads=2, head_width=32, rotary_width=32)
# Mamba2Attn rotates half of each head and convolves queries, keys and values.
_CONVOLVED = Attention(heads=4, kv_heads=4, head_width=32, rotary_width=16, convolution=4)
# RecurrentGemma sees 2048 keys where its study counts 2048 tokens as trained: one window.
_WINDOWED = Attention(
    heads=4, kv_heads=1, head_width=32, rotary_width=16, window=TRAINED_LENGTH, output_bias=True
)
_SSD = SSD(heads=4, head_width=64, state=32, chunk=32)
_DELTA = GatedDelta(heads=4, head_width=16, value_width=32, chunk=32)
_RGLRU = RGLRU(width=WIDTH, blocks=4)
_GELU = MLP(hidden=128, activation="gelu_tanh", bias=True)
_TIME = TimeMix(heads=4, head_width=32, shift_rank=16, decay_rank=32)

LAYERS: dict[str, tuple[MixerConfig, ...]] = {
    "mamba2": (_SSD,) * 4,
    "mamba2attn": (_SSD, _SSD, _CONVOLVED, _SSD),
    "transformerpp": (_ATTENTION, MLP(hidden=360)) * 2,
    # RecurrentGemma also ends with recurrent layers, which read what attention has written.
    "griffin": (_RGLRU, _GELU, _RGLRU, _GELU, _WINDOWED, _GELU, _RGLRU, _GELU),
    "llama": (_GROUPED, MLP(hidden=400)) * 2,
    "gated_deltanet": (_DELTA, MLP(hidden=368)) * 2,
    "rwkv6": (_TIME, ChannelMix(hidden=320)) * 2,
}

_NORMS = {"griffin": Norm(offset=True, eps=1e-6), "rwkv6": Norm(kind="layer")}


def nano_config(architecture: str, vocabulary: int) -> DecoderConfig:
    """The decoder of one architecture over `vocabulary` token ids."""
    return DecoderConfig(
        family=architecture,
        vocabulary=vocabulary,
        padded_vocabulary=vocabulary,
        width=WIDTH,
        layers=LAYERS[architecture],
        norm=_NORMS.get(architecture, Norm()),
        # Small embeddings, scaled up: the optimiser then moves them as fast as the other weights.
        embedding_scale=sqrt(WIDTH),
        embedding_norm=architecture == "rwkv6",
        logit_cap=30.0 if architecture == "griffin" else None,
    )
