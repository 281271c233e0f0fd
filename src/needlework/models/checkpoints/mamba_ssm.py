"""Checkpoints in the format of mamba_ssm: mamba2, mamba2attn and transformerpp at 2.7B."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, PositiveInt

from needlework.models import config
from needlework.models.checkpoints.accounting import Place, Places
from needlework.models.config import DecoderConfig, MixerConfig


class _StateSpace(BaseModel):
    """`ssm_cfg`: what a Mamba2 layer leaves out has mamba_ssm's default."""

    model_config = ConfigDict(extra="forbid")

    layer: str = "Mamba1"
    d_state: PositiveInt = 128
    d_conv: PositiveInt = 4
    expand: PositiveInt = 2
    headdim: PositiveInt = 64
    ngroups: PositiveInt = 1
    chunk_size: PositiveInt = 256


class _Heads(BaseModel):
    """`attn_cfg`."""

    model_config = ConfigDict(extra="forbid")

    causal: bool
    head_dim: PositiveInt
    num_heads: PositiveInt
    num_heads_kv: PositiveInt | None = None
    out_proj_bias: bool
    qkv_proj_bias: bool
    rotary_emb_dim: int
    d_conv: int = 0


class MambaConfig(BaseModel):
    """`config.json`; a key we do not know could change the model, so it is refused."""

    model_config = ConfigDict(extra="forbid")

    d_model: PositiveInt
    d_intermediate: int = 0
    n_layer: PositiveInt
    vocab_size: PositiveInt
    ssm_cfg: _StateSpace
    attn_layer_idx: list[int]
    attn_cfg: _Heads | dict[str, object]
    rms_norm: bool
    residual_in_fp32: bool
    fused_add_norm: bool
    pad_vocab_size_multiple: PositiveInt = 8
    tie_embeddings: bool = True


def decoder_config(raw: Mapping[str, Any]) -> DecoderConfig:
    """The decoder a `config.json` describes."""
    theirs = MambaConfig.model_validate(raw)
    layers: list[MixerConfig] = []
    for index in range(theirs.n_layer):
        is_attention = index in theirs.attn_layer_idx
        layers.append(_attention(theirs) if is_attention else _state_space(theirs))
        if theirs.d_intermediate:
            layers.append(config.MLP(hidden=theirs.d_intermediate))
    multiple = theirs.pad_vocab_size_multiple
    return DecoderConfig(
        family=_family(theirs),
        vocabulary=theirs.vocab_size,
        padded_vocabulary=-(-theirs.vocab_size // multiple) * multiple,
        width=theirs.d_model,
        layers=tuple(layers),
        norm=config.Norm(kind="rms" if theirs.rms_norm else "layer", eps=1e-5),
        tied=theirs.tie_embeddings,
        residual_float32=theirs.residual_in_fp32,
    )


def places(spec: DecoderConfig) -> Places:
    """Where every tensor goes."""
    found = {
        "backbone.embedding.weight": Place("embedding.weight"),
        "backbone.norm_f.weight": Place("norm.weight"),
        "lm_head.weight": Place(
            "embedding.weight" if spec.tied else "head.weight",
            alias=spec.tied,
            optional=spec.tied,
        ),
    }
    block = -1
    for index, layer in enumerate(spec.layers):
        second = isinstance(layer, config.MLP)
        block += not second
        upstream, ours = f"backbone.layers.{block}", f"layers.{index}"
        norm = "norm2" if second else "norm"
        found[f"{upstream}.{norm}.weight"] = Place(f"{ours}.norm.weight")
        module = "mlp" if second else "mixer"
        for theirs, name in NAMES[type(layer)].items():
            found[f"{upstream}.{module}.{theirs}"] = Place(f"{ours}.mixer.{name}")
        if isinstance(layer, config.Attention) and layer.convolution:
            for part in ("weight", "bias"):
                found[f"{upstream}.mixer.conv1d.{part}"] = Place(f"{ours}.mixer.convolution.{part}")
    return found


NAMES: dict[type, dict[str, str]] = {
    config.SSD: {
        "in_proj.weight": "project_in.weight",
        "conv1d.weight": "convolution.weight",
        "conv1d.bias": "convolution.bias",
        "dt_bias": "step_bias_H",
        "A_log": "log_rate_H",
        "D": "skip_H",
        "norm.weight": "norm.weight",
        "out_proj.weight": "project_out.weight",
    },
    config.Attention: {
        "in_proj.weight": "project_in.weight",
        "out_proj.weight": "project_out.weight",
    },
    config.MLP: {"fc1.weight": "project_in.weight", "fc2.weight": "project_out.weight"},
}


def _family(theirs: MambaConfig) -> str:
    if len(theirs.attn_layer_idx) == theirs.n_layer:
        return "transformerpp"
    return "mamba2attn" if theirs.attn_layer_idx else "mamba2"


def _state_space(theirs: MambaConfig) -> config.SSD:
    spec = theirs.ssm_cfg
    if spec.layer != "Mamba2":
        raise ValueError(f"ssm_cfg.layer is {spec.layer}, but only Mamba2 layers are supported")
    return config.SSD(
        heads=spec.expand * theirs.d_model // spec.headdim,
        head_width=spec.headdim,
        state=spec.d_state,
        groups=spec.ngroups,
        convolution=spec.d_conv,
        chunk=spec.chunk_size,
    )


def _attention(theirs: MambaConfig) -> config.Attention:
    spec = theirs.attn_cfg
    if not isinstance(spec, _Heads):
        raise ValueError("attn_cfg is empty although attn_layer_idx names layers")
    return config.Attention(
        heads=spec.num_heads,
        kv_heads=spec.num_heads_kv or spec.num_heads,
        head_width=spec.head_dim,
        rotary_width=spec.rotary_emb_dim,
        convolution=spec.d_conv or None,
        qkv_bias=spec.qkv_proj_bias,
        output_bias=spec.out_proj_bias,
    )
