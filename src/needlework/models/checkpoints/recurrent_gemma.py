"""Checkpoints of RecurrentGemmaForCausalLM in the format of transformers."""

from collections.abc import Mapping
from typing import Any

import torch

from needlework.models import config
from needlework.models.checkpoints.accounting import Place, Places
from needlework.models.checkpoints.llama import (
    attention_places,
    head_place,
    mlp_places,
    require,
)
from needlework.models.config import DecoderConfig, Norm


def decoder_config(raw: Mapping[str, Any]) -> DecoderConfig:
    """RecurrentGemmaForCausalLM.

    A query sees `attention_window_size` keys, its own included, as in transformers; Google's code
    shows one key more. The published scores were measured with transformers, whose window we keep.
    """
    require(raw, "hidden_activation", "gelu_pytorch_tanh")
    heads, width = raw["num_attention_heads"], raw["hidden_size"]
    head_width = raw.get("head_dim") or width // heads
    rope = raw.get("rope_parameters") or {}
    partial = rope.get("partial_rotary_factor") or raw.get("partial_rotary_factor", 0.5)
    attention = config.Attention(
        heads=heads,
        kv_heads=raw.get("num_key_value_heads") or heads,
        head_width=head_width,
        rotary_width=int(head_width * partial),
        rotary_base=rope.get("rope_theta") or raw.get("rope_theta", 10000.0),
        window=raw["attention_window_size"],
        qkv_bias=raw.get("attention_bias", False),
        output_bias=True,
    )
    recurrent = config.RGLRU(
        width=raw.get("lru_width") or width, blocks=heads, convolution=raw["conv1d_width"]
    )
    # The file gives the width of up and gate together.
    mlp = config.MLP(hidden=raw["intermediate_size"] // 2, activation="gelu_tanh", bias=True)
    pattern = raw["block_types"]
    kinds = [pattern[index % len(pattern)] for index in range(raw["num_hidden_layers"])]
    temporal = {"attention": attention, "recurrent": recurrent}
    return DecoderConfig(
        family="recurrent_gemma",
        vocabulary=raw["vocab_size"],
        padded_vocabulary=raw["vocab_size"],
        width=width,
        layers=tuple(part for kind in kinds for part in (temporal[kind], mlp)),
        norm=Norm(eps=raw["rms_norm_eps"], offset=True),
        tied=True,
        embedding_scale=embedding_scale(width),
        logit_cap=raw.get("logits_soft_cap", 30.0),
    )


def embedding_scale(width: int) -> float:
    """sqrt(width) as the checkpoint stores it, rounded to bfloat16 (50.5 for 2560)."""
    return float(torch.tensor(width**0.5, dtype=torch.bfloat16))


def places(spec: DecoderConfig) -> Places:
    """Where every tensor goes."""
    found = {
        "model.embed_tokens.weight": Place("embedding.weight"),
        "model.final_norm.weight": Place("norm.weight"),
        **head_place(spec),
    }
    for index, layer in enumerate(spec.layers):
        theirs, ours = f"model.layers.{index // 2}", f"layers.{index}"
        block, mixer = f"{theirs}.temporal_block", f"{ours}.mixer"
        norm = "channel_pre_norm" if isinstance(layer, config.MLP) else "temporal_pre_norm"
        found[f"{theirs}.{norm}.weight"] = Place(f"{ours}.norm.weight")
        if isinstance(layer, config.Attention):
            found |= attention_places(block, mixer, layer)
        elif isinstance(layer, config.RGLRU):
            found |= _rglru_places(block, mixer, layer)
        elif isinstance(layer, config.MLP):
            found |= mlp_places(f"{theirs}.mlp_block", mixer, layer)
    return found


def _rglru_places(theirs: str, ours: str, spec: config.RGLRU) -> dict[str, Place]:
    """y lies above x in ours."""
    gates = {
        "recurrent_param": "decay_E",
        "input_gate_weight": "input_gate_KII",
        "input_gate_bias": "input_bias_KI",
        "recurrent_gate_weight": "decay_gate_KII",
        "recurrent_gate_bias": "decay_bias_KI",
    }
    found = {f"{theirs}.rg_lru.{name}": Place(f"{ours}.{gates[name]}") for name in gates}
    for part in ("weight", "bias"):
        found[f"{theirs}.linear_y.{part}"] = Place(f"{ours}.project_in.{part}", (0, spec.width))
        found[f"{theirs}.linear_x.{part}"] = Place(
            f"{ours}.project_in.{part}", (spec.width, 2 * spec.width)
        )
        found[f"{theirs}.linear_out.{part}"] = Place(f"{ours}.project_out.{part}")
        found[f"{theirs}.conv_1d.{part}"] = Place(f"{ours}.convolution.{part}")
    return found
