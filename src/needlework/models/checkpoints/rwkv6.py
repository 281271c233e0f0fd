"""Checkpoints of RWKV-6: the hub format of the RWKV organisation, and the original `.pth`."""

from collections.abc import Mapping
from typing import Any

from needlework.models import config
from needlework.models.checkpoints.accounting import Place, Places
from needlework.models.config import DecoderConfig, Norm

_TIME_MIX = {
    "time_maa_w1": "mix_down",
    "time_maa_w2": "mix_up_MRD",
    "time_decay_w1": "decay_down",
    "time_decay_w2": "decay_up",
    "time_faaaa": "bonus_HK",
    "receptance.weight": "receptance.weight",
    "key.weight": "key.weight",
    "value.weight": "value.weight",
    "gate.weight": "gate.weight",
    "output.weight": "project_out.weight",
    "ln_x.weight": "norm.weight",
    "ln_x.bias": "norm.bias",
}
_CHANNEL_MIX = ("key.weight", "value.weight", "receptance.weight")
_ORIGINAL = (
    ("rwkv.embeddings.", "emb."),
    (".pre_ln.", ".ln0."),
    (".attention.", ".att."),
    (".feed_forward.", ".ffn."),
)
"""Parts of hub names with the original ones."""


def decoder_config(raw: Mapping[str, Any]) -> DecoderConfig:
    """Rwkv6ForCausalLM of the RWKV organisation's remote code.

    The number of heads follows from the width and `head_size`; `num_attention_heads` (64 in the 3B
    file) contradicts the tensors and is ignored, as the remote code ignores it.
    """
    width, head_width = raw["hidden_size"], raw.get("head_size", 64)
    hidden = raw.get("intermediate_size") or int(width * 3.5) // 32 * 32
    ranks = (64, 128) if width == 4096 else (32, 64)
    return _decoder(
        vocabulary=raw["vocab_size"],
        width=width,
        layers=raw["num_hidden_layers"],
        head_width=head_width,
        hidden=hidden,
        ranks=(raw.get("time_mix_extra_dim", ranks[0]), raw.get("time_decay_extra_dim", ranks[1])),
    )


def config_from_shapes(shapes: Mapping[str, tuple[int, ...]]) -> DecoderConfig:
    """The decoder that the tensors of a `.pth` file belong to, which has no configuration.

    Raises:
        KeyError: a tensor that every RWKV-6 model has is absent.
    """
    vocabulary, width = shapes["emb.weight"]
    blocks = [int(name.split(".")[1]) for name in shapes if name.startswith("blocks.")]
    return _decoder(
        vocabulary=vocabulary,
        width=width,
        layers=max(blocks) + 1,
        head_width=shapes["blocks.0.att.time_faaaa"][1],
        hidden=shapes["blocks.0.ffn.key.weight"][0],
        ranks=(shapes["blocks.0.att.time_maa_w2"][1], shapes["blocks.0.att.time_decay_w1"][1]),
    )


def _decoder(
    *,
    vocabulary: int,
    width: int,
    layers: int,
    head_width: int,
    hidden: int,
    ranks: tuple[int, int],
) -> DecoderConfig:
    """The decoder of an RWKV-6 model; `ranks` are those of the token shift and of the decay."""
    time = config.TimeMix(
        heads=width // head_width,
        head_width=head_width,
        shift_rank=ranks[0],
        decay_rank=ranks[1],
    )
    return DecoderConfig(
        family="rwkv6",
        vocabulary=vocabulary,
        padded_vocabulary=vocabulary,
        width=width,
        layers=(time, config.ChannelMix(hidden=hidden)) * layers,
        norm=Norm(kind="layer", eps=1e-5),
        embedding_norm=True,
    )


def places(spec: DecoderConfig) -> Places:
    """Where every tensor goes."""
    found = {
        "rwkv.embeddings.weight": Place("embedding.weight"),
        "head.weight": Place("head.weight"),
    }
    for part in ("weight", "bias"):
        found[f"rwkv.blocks.0.pre_ln.{part}"] = Place(f"embedding_norm.{part}")
        found[f"rwkv.ln_out.{part}"] = Place(f"norm.{part}")
        for index in range(len(spec.layers)):
            norm = f"rwkv.blocks.{index // 2}.ln{index % 2 + 1}.{part}"
            found[norm] = Place(f"layers.{index}.norm.{part}")
    for index, layer in enumerate(spec.layers):
        block, ours = f"rwkv.blocks.{index // 2}", f"layers.{index}.mixer"
        if isinstance(layer, config.TimeMix):
            found |= _time_mix_places(f"{block}.attention", ours)
        else:
            found |= _channel_mix_places(f"{block}.feed_forward", ours)
    return found


def places_in_pth(spec: DecoderConfig) -> Places:
    """Where every tensor of a `.pth` file goes: the same tensors under their original names."""
    return {_original_name(name): place for name, place in places(spec).items()}


def _original_name(name: str) -> str:
    for hub, original in _ORIGINAL:
        name = name.replace(hub, original)
    return name.removeprefix("rwkv.")


def _time_mix_places(theirs: str, ours: str) -> dict[str, Place]:
    found = {f"{theirs}.{name}": Place(f"{ours}.{place}") for name, place in _TIME_MIX.items()}
    found[f"{theirs}.time_maa_x"] = Place(f"{ours}.mix_D", leading=2)
    found[f"{theirs}.time_decay"] = Place(f"{ours}.decay_D", leading=2)
    for row, name in enumerate("wkvrg"):
        found[f"{theirs}.time_maa_{name}"] = Place(f"{ours}.mix_MD", (row, row + 1), leading=2)
    return found


def _channel_mix_places(theirs: str, ours: str) -> dict[str, Place]:
    found = {f"{theirs}.{name}": Place(f"{ours}.{name}") for name in _CHANNEL_MIX}
    found[f"{theirs}.time_maa_k"] = Place(f"{ours}.mix_key_D", leading=2)
    found[f"{theirs}.time_maa_r"] = Place(f"{ours}.mix_receptance_D", leading=2)
    return found
