"""Checkpoints of LlamaForCausalLM and Qwen2ForCausalLM in the format of transformers."""

from collections.abc import Mapping
from typing import Any

from needlework.models import config
from needlework.models.checkpoints.accounting import Place, Places
from needlework.models.config import DecoderConfig, Norm


def decoder_config(raw: Mapping[str, Any]) -> DecoderConfig:
    """LlamaForCausalLM and Qwen2ForCausalLM, which differs by a bias on q, k and v.

    The number of positions in the file is where the model was trained, not a limit: rotary angles
    exist for every position, and reading further is what a study wants to measure.
    """
    require(raw, "hidden_act", "silu")
    qwen = raw["model_type"] == "qwen2"
    if qwen and raw.get("use_sliding_window"):
        raise ValueError("use_sliding_window is on, which is not supported; use another backend")
    rope = raw.get("rope_parameters") or {}
    for scaling in (raw.get("rope_scaling") or {}, rope):
        if not plain_angles(scaling):
            raise ValueError(f"rope_scaling {scaling} is not supported; use another backend")
    heads, width = raw["num_attention_heads"], raw["hidden_size"]
    head_width = raw.get("head_dim") or width // heads
    attention = config.Attention(
        heads=heads,
        kv_heads=raw.get("num_key_value_heads") or heads,
        head_width=head_width,
        rotary_width=head_width,
        rotary_base=rope.get("rope_theta") or raw.get("rope_theta", 10000.0),
        qkv_bias=qwen or raw.get("attention_bias", False),
        output_bias=False if qwen else raw.get("attention_bias", False),
    )
    mlp = config.MLP(hidden=raw["intermediate_size"], bias=raw.get("mlp_bias", False))
    return DecoderConfig(
        family=raw["model_type"],
        vocabulary=raw["vocab_size"],
        padded_vocabulary=raw["vocab_size"],
        width=width,
        layers=(attention, mlp) * raw["num_hidden_layers"],
        norm=Norm(eps=raw["rms_norm_eps"]),
        tied=raw.get("tie_word_embeddings", False),
        trained_positions=raw.get("max_position_embeddings"),
    )


def plain_angles(scaling: Mapping[str, Any]) -> bool:
    """Whether rotary angles are those without any scaling: it is off, or by a factor of 1."""
    kind = scaling.get("rope_type") or scaling.get("type") or "default"
    return kind == "default" or (kind == "linear" and scaling.get("factor") == 1.0)


def places(spec: DecoderConfig) -> Places:
    """Where every tensor goes."""
    found = {
        "model.embed_tokens.weight": Place("embedding.weight"),
        "model.norm.weight": Place("norm.weight"),
        **head_place(spec),
    }
    for index, layer in enumerate(spec.layers):
        theirs, ours = f"model.layers.{index // 2}", f"layers.{index}"
        if isinstance(layer, config.Attention):
            found[f"{theirs}.input_layernorm.weight"] = Place(f"{ours}.norm.weight")
            found |= attention_places(f"{theirs}.self_attn", f"{ours}.mixer", layer)
        elif isinstance(layer, config.MLP):
            found[f"{theirs}.post_attention_layernorm.weight"] = Place(f"{ours}.norm.weight")
            found |= mlp_places(f"{theirs}.mlp", f"{ours}.mixer", layer)
    return found


def head_place(spec: DecoderConfig) -> dict[str, Place]:
    """A tied head may be written a second time, or left out."""
    name = "embedding.weight" if spec.tied else "head.weight"
    return {"lm_head.weight": Place(name, alias=spec.tied, optional=spec.tied)}


def attention_places(theirs: str, ours: str, spec: config.Attention) -> dict[str, Place]:
    """q, k and v lie one below the other in ours."""
    ends = [spec.heads, spec.heads + spec.kv_heads, spec.heads + 2 * spec.kv_heads]
    starts = [0, *ends]
    found = {f"{theirs}.o_proj.weight": Place(f"{ours}.project_out.weight")}
    if spec.output_bias:
        found[f"{theirs}.o_proj.bias"] = Place(f"{ours}.project_out.bias")
    for name, start, end in zip("qkv", starts, ends, strict=False):
        rows = (start * spec.head_width, end * spec.head_width)
        for part in ("weight", "bias") if spec.qkv_bias else ("weight",):
            found[f"{theirs}.{name}_proj.{part}"] = Place(f"{ours}.project_in.{part}", rows)
    return found


def mlp_places(theirs: str, ours: str, spec: config.MLP) -> dict[str, Place]:
    """up lies above gate in ours."""
    found = {}
    for part in ("weight", "bias") if spec.bias else ("weight",):
        found[f"{theirs}.up_proj.{part}"] = Place(f"{ours}.project_in.{part}", (0, spec.hidden))
        found[f"{theirs}.gate_proj.{part}"] = Place(
            f"{ours}.project_in.{part}", (spec.hidden, 2 * spec.hidden)
        )
        found[f"{theirs}.down_proj.{part}"] = Place(f"{ours}.project_out.{part}")
    return found


def require(raw: Mapping[str, Any], key: str, value: object) -> None:
    """Refuse a setting we would compute wrongly."""
    if raw.get(key, value) != value:
        raise ValueError(f"{key} is {raw[key]!r}, but only {value!r} is supported")
