"""Tiny models of every kind, with every parameter random: zeros would hide a missing term."""

import torch

from needlework.models import config
from needlework.models.config import DecoderConfig
from needlework.models.decoder import MIXERS, Decoder
from needlework.models.layer import Operation

WIDTH = 16

SPECS = {
    "attention": config.Attention(heads=4, kv_heads=4, head_width=4, rotary_width=4),
    "grouped attention": config.Attention(
        heads=4, kv_heads=2, head_width=4, rotary_width=2, qkv_bias=True, output_bias=True
    ),
    "window": config.Attention(heads=2, kv_heads=1, head_width=8, rotary_width=4, window=5),
    "convolved attention": config.Attention(
        heads=4, kv_heads=4, head_width=4, rotary_width=2, convolution=4
    ),
    "ssd": config.SSD(heads=4, head_width=8, state=8, chunk=8),
    "grouped ssd": config.SSD(heads=4, head_width=8, state=8, groups=2, chunk=4),
    "gated delta": config.GatedDelta(heads=2, head_width=4, value_width=8, chunk=8),
    "rglru": config.RGLRU(width=24, blocks=3),
    "time mix": config.TimeMix(heads=2, head_width=8, shift_rank=4, decay_rank=4, chunk=4),
    "channel mix": config.ChannelMix(hidden=24),
    "mlp": config.MLP(hidden=24),
    "biased mlp": config.MLP(hidden=24, activation="gelu_tanh", bias=True),
}

_RMS = config.Norm()
_LAYER = config.Norm(kind="layer")
_GEMMA = config.Norm(offset=True, eps=1e-6)

FAMILIES = {
    "mamba2": ((SPECS["ssd"],) * 2, _RMS),
    "mamba2attn": ((SPECS["ssd"], SPECS["convolved attention"], SPECS["ssd"]), _RMS),
    "transformerpp": ((SPECS["attention"], SPECS["mlp"]) * 2, _RMS),
    "llama": ((SPECS["grouped attention"], SPECS["mlp"]) * 2, _RMS),
    "griffin": ((SPECS["rglru"], SPECS["window"], SPECS["biased mlp"], SPECS["rglru"]), _GEMMA),
    "gated deltanet": ((SPECS["gated delta"], SPECS["mlp"]) * 2, _RMS),
    "rwkv6": ((SPECS["time mix"], SPECS["channel mix"]) * 2, _LAYER),
}


WIDE_WIDTH = 256
WIDE_SPECS: dict[str, tuple[config.MixerConfig, Operation]] = {
    "mamba2": (config.SSD(heads=8, head_width=64, state=128, chunk=256), "selective_scan"),
    "convolved attention": (
        config.Attention(heads=2, kv_heads=2, head_width=128, rotary_width=64, convolution=4),
        "convolution",
    ),
    "attention of 80": (
        config.Attention(heads=4, kv_heads=4, head_width=80, rotary_width=40),
        "attention",
    ),
    "grouped attention": (
        config.Attention(heads=12, kv_heads=2, head_width=128, rotary_width=128, qkv_bias=True),
        "attention",
    ),
    "window": (
        config.Attention(heads=10, kv_heads=1, head_width=256, rotary_width=128, window=128),
        "attention",
    ),
    "rglru": (config.RGLRU(width=WIDE_WIDTH, blocks=2), "diagonal_scan"),
    "time mix": (
        config.TimeMix(heads=4, head_width=64, shift_rank=32, decay_rank=64),
        "weighted_key_values",
    ),
}
"""Mixers with heads as wide as published ones, and what a kernel computes of each."""
REMEMBERED_TOKENS = 1000.0
"""Tokens after which their states fade to 1/e: what is carried over many chunks is seen."""


def randomise(module: torch.nn.Module, seed: int = 0, *, spread: float = 0.3) -> None:
    """Every parameter, ones and zeros included, moved by a draw of its own."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_((spread * noise).to(parameter.dtype))


def mixer(name: str) -> torch.nn.Module:
    spec = SPECS[name]
    torch.manual_seed(0)
    layer = MIXERS[type(spec)](WIDTH, spec).double()
    randomise(layer)
    return layer.eval()


def family(name: str, *, dtype: torch.dtype = torch.float64, vocabulary: int = 40) -> Decoder:
    layers, norm = FAMILIES[name]
    spec = DecoderConfig(
        family=name,
        vocabulary=vocabulary,
        padded_vocabulary=vocabulary + 8,
        width=WIDTH,
        layers=layers,
        norm=norm,
        embedding_norm=name == "rwkv6",
        tied=name in {"mamba2", "griffin"},
        embedding_scale=2.0 if name == "griffin" else 1.0,
        logit_cap=30.0 if name == "griffin" else None,
        residual_float32=name == "mamba2",
    )
    torch.manual_seed(0)
    decoder = Decoder(spec).to(dtype)
    randomise(decoder)
    return decoder.eval().requires_grad_(False)
