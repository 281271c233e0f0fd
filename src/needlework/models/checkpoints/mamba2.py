"""Checkpoints of Mamba2ForCausalLM in the format of transformers."""

from collections.abc import Mapping
from typing import Any

from needlework.models import config
from needlework.models.checkpoints.accounting import Place, Places
from needlework.models.checkpoints.llama import head_place, require
from needlework.models.checkpoints.mamba_ssm import NAMES
from needlework.models.config import DecoderConfig, Norm


def decoder_config(raw: Mapping[str, Any]) -> DecoderConfig:
    """Mamba2ForCausalLM."""
    require(raw, "hidden_act", "silu")
    if raw.get("use_bias") or not raw.get("use_conv_bias", True):
        raise ValueError("use_bias and a convolution without bias are not supported")
    layer = config.SSD(
        heads=raw["num_heads"],
        head_width=raw["head_dim"],
        state=raw["state_size"],
        groups=raw["n_groups"],
        convolution=raw["conv_kernel"],
        chunk=raw["chunk_size"],
        norm_eps=raw["layer_norm_epsilon"],
    )
    return DecoderConfig(
        family="mamba2",
        vocabulary=raw["vocab_size"],
        padded_vocabulary=raw["vocab_size"],
        width=raw["hidden_size"],
        layers=(layer,) * raw["num_hidden_layers"],
        norm=Norm(eps=raw["layer_norm_epsilon"]),
        tied=raw.get("tie_word_embeddings", False),
        residual_float32=raw.get("residual_in_fp32", True),
    )


def places(spec: DecoderConfig) -> Places:
    """Where every tensor goes."""
    found = {
        "backbone.embeddings.weight": Place("embedding.weight"),
        "backbone.norm_f.weight": Place("norm.weight"),
        **head_place(spec),
    }
    for index in range(len(spec.layers)):
        theirs, ours = f"backbone.layers.{index}", f"layers.{index}"
        found[f"{theirs}.norm.weight"] = Place(f"{ours}.norm.weight")
        for name, place in NAMES[config.SSD].items():
            found[f"{theirs}.mixer.{name}"] = Place(f"{ours}.mixer.{place}")
    return found
