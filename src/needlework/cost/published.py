"""The decoders behind the checkpoints of arXiv:2407.08112, known without fetching them.

Each entry states the `config.json` of a checkpoint in the terms of our decoder. A test compares it
with what our reader makes of that file, and its parameters with the published number.
"""

from pathlib import Path

from needlework.models.config import (
    MLP,
    RGLRU,
    SSD,
    Attention,
    ChannelMix,
    DecoderConfig,
    Norm,
    TimeMix,
)

WIDTH = 2560
_SSD = SSD(heads=80, head_width=64, state=128)


def _state_spaces(family: str, layers: tuple[SSD | Attention | MLP, ...]) -> DecoderConfig:
    return DecoderConfig(
        family=family,
        vocabulary=50277,
        padded_vocabulary=50288,
        width=WIDTH,
        layers=layers,
        tied=True,
        residual_float32=True,
    )


def _recurrent_gemma() -> DecoderConfig:
    recurrent = RGLRU(width=WIDTH, blocks=10)
    local = Attention(
        heads=10, kv_heads=1, head_width=256, rotary_width=128, window=2048, output_bias=True
    )
    mlp = MLP(hidden=7680, activation="gelu_tanh", bias=True)
    temporal = [local if i % 3 == 2 else recurrent for i in range(26)]
    return DecoderConfig(
        family="recurrent_gemma",
        vocabulary=256000,
        padded_vocabulary=256000,
        width=WIDTH,
        layers=tuple(part for mixer in temporal for part in (mixer, mlp)),
        norm=Norm(eps=1e-6, offset=True),
        tied=True,
        embedding_scale=50.5,
        logit_cap=30.0,
    )


def _sheared_llama(vocabulary: int) -> DecoderConfig:
    heads = Attention(heads=20, kv_heads=20, head_width=128, rotary_width=128)
    return DecoderConfig(
        family="llama",
        vocabulary=vocabulary,
        padded_vocabulary=vocabulary,
        width=WIDTH,
        layers=(heads, MLP(hidden=6912)) * 32,
    )


_CONVOLVED = Attention(heads=30, kv_heads=30, head_width=128, rotary_width=64, convolution=4)
_HALF_ROTATED = Attention(heads=32, kv_heads=32, head_width=80, rotary_width=40)
_TIME = TimeMix(heads=40, head_width=64, shift_rank=32, decay_rank=64)
_GROUPED = Attention(heads=9, kv_heads=3, head_width=64, rotary_width=64, rotary_base=1e5)

SMOLLM2 = "smollm2-135m-instruct"
"""The folder of files that the workflow fetches or rounds: their cost is known before."""
_SMOLLM2 = DecoderConfig(
    family="llama",
    vocabulary=49152,
    padded_vocabulary=49152,
    width=576,
    layers=(_GROUPED, MLP(hidden=1536)) * 30,
    tied=True,
)
"""HuggingFaceTB/SmolLM2-135M-Instruct, which is no model of the paper."""
CHECKPOINTS: dict[str, DecoderConfig] = {
    "state-spaces/mamba2-2.7b": _state_spaces("mamba2", (_SSD,) * 64),
    "state-spaces/mamba2attn-2.7b": _state_spaces(
        "mamba2attn",
        tuple(_CONVOLVED if i in (9, 18, 27, 36, 45, 56) else _SSD for i in range(64)),
    ),
    "state-spaces/transformerpp-2.7b": _state_spaces(
        "transformerpp", (_HALF_ROTATED, MLP(hidden=6912)) * 32
    ),
    "google/recurrentgemma-2b": _recurrent_gemma(),
    "google/recurrentgemma-2b-it": _recurrent_gemma(),
    "princeton-nlp/Sheared-LLaMA-2.7B": _sheared_llama(32000),
    "princeton-nlp/Sheared-LLaMA-2.7B-ShareGPT": _sheared_llama(32001),
    "RWKV/rwkv-6-world-3b": DecoderConfig(
        family="rwkv6",
        vocabulary=65536,
        padded_vocabulary=65536,
        width=WIDTH,
        layers=(_TIME, ChannelMix(hidden=8960)) * 32,
        norm=Norm(kind="layer"),
        embedding_norm=True,
    ),
}
"""By hub id. ShareGPT has one token more, `[PAD]`."""


def published(checkpoint: str) -> DecoderConfig | None:
    """The decoder of a hub id of the study; None for any other."""
    path = Path(checkpoint)
    if path.parts[0] == "resources" and path.parent.name == SMOLLM2:
        return _SMOLLM2
    return CHECKPOINTS.get(checkpoint)
