"""Checkpoints in GGUF, the format of llama.cpp: the families llama and qwen2 of it.

Settings and tensors have llama.cpp's names. In llama files the rows of q and k lie in the order in
which pairs are rotated there, neighbours together.
"""

from collections.abc import Mapping
from typing import Any

from needlework.errors import CheckpointError
from needlework.gguf_header import Header
from needlework.models import config
from needlework.models.checkpoints import llama
from needlework.models.checkpoints.accounting import Place, Places
from needlework.models.checkpoints.gguf_tensors import frequencies
from needlework.models.config import DecoderConfig

ARCHITECTURES = ("llama", "qwen2")
_NAMES = (
    ("model.layers.", "blk."),
    (".self_attn.q_proj.", ".attn_q."),
    (".self_attn.k_proj.", ".attn_k."),
    (".self_attn.v_proj.", ".attn_v."),
    (".self_attn.o_proj.", ".attn_output."),
    (".mlp.gate_proj.", ".ffn_gate."),
    (".mlp.up_proj.", ".ffn_up."),
    (".mlp.down_proj.", ".ffn_down."),
    (".input_layernorm.", ".attn_norm."),
    (".post_attention_layernorm.", ".ffn_norm."),
    ("model.embed_tokens.", "token_embd."),
    ("model.norm.", "output_norm."),
    ("lm_head.", "output."),
)
"""Parts of names in transformers with those of llama.cpp."""
_UNSUPPORTED = {
    "expert_count": "experts",
    "attention.sliding_window": "a sliding window",
    "attention.clamp_kqv": "clamped attention",
    "logit_scale": "scaled logits",
    "residual_scale": "scaled residuals",
    "embedding_scale": "scaled embeddings",
    "attention.scale": "an attention scale of its own",
}
"""Settings that change what is computed, and what they mean."""


def decoder_config(header: Header) -> DecoderConfig:
    """The decoder that a file describes.

    Raises:
        CheckpointError: its architecture, or something in it, is not computed here.
        KeyError: a setting is absent.
        ValueError: a setting is not supported.
    """
    family = header.architecture
    if family not in ARCHITECTURES:
        raise CheckpointError(
            f"{header.path}: architecture {family!r} is not one of {', '.join(ARCHITECTURES)}; set "
            "`backend: transformers` in the model's entry to run it through transformers"
        )
    prefix = f"{family}."
    settings = {
        key.removeprefix(prefix): value
        for key, value in header.settings.items()
        if key.startswith(prefix)
    }
    for key, meaning in _UNSUPPORTED.items():
        if settings.get(key):
            raise ValueError(f"{prefix}{key} is {settings[key]}, and {meaning} is not supported")
    spec = llama.decoder_config(_as_transformers(header, settings, family))
    divisors = frequencies(header) or _scaling(settings, spec)
    layers = tuple(
        layer.model_copy(update={"rotary_divisors": divisors})
        if isinstance(layer, config.Attention)
        else layer
        for layer in spec.layers
    )
    # Parsed anew: a copy is not checked.
    parts = spec.model_copy(update={"layers": layers}).model_dump()
    return DecoderConfig.model_validate({**parts, "trained_positions": spec.trained_positions})


def _as_transformers(header: Header, settings: Mapping[str, Any], family: str) -> dict[str, Any]:
    """The settings under the names of transformers."""
    shapes = {weight.name: weight.shape for weight in header.weights}
    heads, width = settings["attention.head_count"], settings["embedding_length"]
    head_width = settings.get("attention.key_length") or width // heads
    if settings.get("attention.value_length", head_width) != head_width:
        raise ValueError("keys and values of different widths are not supported")
    rotated = settings.get("rope.dimension_count", head_width)
    if rotated != head_width:
        raise ValueError(f"{rotated} rotated channels of {head_width} are not supported")
    return {
        "model_type": family,
        "vocab_size": shapes.get("token_embd.weight", (0,))[0],
        "hidden_size": width,
        "intermediate_size": settings["feed_forward_length"],
        "num_hidden_layers": settings["block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": settings.get("attention.head_count_kv", heads),
        "head_dim": head_width,
        "rope_theta": settings.get("rope.freq_base", 10000.0),
        "rms_norm_eps": settings["attention.layer_norm_rms_epsilon"],
        "max_position_embeddings": settings["context_length"],
        "attention_bias": "blk.0.attn_q.bias" in shapes,
        "mlp_bias": "blk.0.ffn_up.bias" in shapes,
        "tie_word_embeddings": "output.weight" not in shapes,
    }


def _scaling(settings: Mapping[str, Any], spec: DecoderConfig) -> tuple[float, ...] | None:
    """What a scaling without factors of its own divides every frequency by; None for none."""
    kind, factor = settings.get("rope.scaling.type", "none"), settings.get("rope.scaling.factor")
    if kind == "none" and "rope.scale_linear" in settings:
        kind, factor = "linear", settings["rope.scale_linear"]
    if kind == "none" or not factor or factor == 1.0:
        return None
    if kind != "linear":
        raise ValueError(f"rope scaling {kind!r} is not supported, only linear and Llama 3's")
    attention = next(layer for layer in spec.layers if isinstance(layer, config.Attention))
    return (float(factor),) * (attention.rotary_width // 2)


def places(spec: DecoderConfig) -> Places:
    """Where every tensor goes."""
    found = {}
    for name, place in llama.places(spec).items():
        ours = _name(name)
        found[ours] = _turned(place, ours, spec) if spec.family == "llama" else place
    return found


def _name(name: str) -> str:
    for theirs, ours in _NAMES:
        name = name.replace(theirs, ours)
    return name


def _turned(place: Place, name: str, spec: DecoderConfig) -> Place:
    """The place of q and k, whose rows lie in another order."""
    if ".attn_q." not in name and ".attn_k." not in name:
        return place
    attention = next(layer for layer in spec.layers if isinstance(layer, config.Attention))
    assert place.rows is not None
    start, end = place.rows
    return Place(place.name, place.rows, paired=(end - start) // attention.head_width)
