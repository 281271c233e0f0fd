"""Independent implementations of a model, with which its logits are compared."""

# Shapes: T tokens, P of their positions, V vocabulary rows.
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from needlework.door import read_json
from needlework.errors import CheckpointError
from needlework.gguf_header import is_gguf
from needlework.models import kernels
from needlework.models.checkpoints import llama, mamba2, recurrent_gemma, rwkv6
from needlework.models.checkpoints.accounting import Places
from needlework.models.config import MLP, RGLRU, SSD, Attention, DecoderConfig, Norm
from needlework.models.decoder import Decoder

TRANSFORMERS_TYPES = ("llama", "qwen2", "mamba2", "recurrent_gemma")
"""Values of `model_type` whose files transformers reads by itself."""
GEMMA_NORM = Norm(offset=True, eps=1e-6)
SHORT_CHUNK = 64
"""Tokens of a chunk in the Mamba2 of transformers, whose results do not depend on it.

Its torch code holds heads x states numbers for every pair within a chunk, and heads x states x
channels for every pair of chunks: at 2.7 billion parameters and 2,048 tokens 8 GB, not 43.
"""


@dataclass(frozen=True)
class Reference:
    """An implementation that is not ours."""

    name: str
    """Package, version and class."""
    logits: Callable[[Tensor, Tensor], Tensor]
    """Float32 logits of shape (P, V) after P of T tokens, all read in one pass; loads the model."""


def find_reference(source: Path, decoder: Decoder) -> Reference | str:
    """A library that computes the checkpoint at `source`, loaded as `decoder`; or why none does.

    Where a library reads the files itself, it does. Else it is given the decoder's own tensors
    under its names: then formulas are compared, and not names. Every reference computes in float32,
    whatever the decoder's dtype: in bfloat16 the RecurrentGemma of transformers, which rounds its
    decays, moves logits of nano-griffin by 0.8 of the largest after 2,304 tokens, ours by 0.03.
    """
    if is_gguf(source):
        return _from_gguf(source, decoder)
    config = source / "config.json"
    raw = read_json(config, error=CheckpointError, kind=dict) if config.is_file() else {}
    weight = decoder.embedding.weight
    if raw.get("model_type") in TRANSFORMERS_TYPES:
        return _from_files(source, raw, weight.device)
    spec = decoder.config
    if spec.family == "rwkv6":
        return _rwkv(source, decoder)
    if "ssm_cfg" in raw and _by_mamba_ssm(spec, weight.device):
        return _mamba_ssm(source, weight.device)
    for describe in (_as_llama, _as_mamba2, _as_recurrent_gemma):
        twin = describe(spec)
        if twin is not None:
            return _from_tensors(twin, decoder)
    if "ssm_cfg" in raw:
        return "its files are those of mamba_ssm, which computes on a GPU and needs flash_attn"
    return f"no independent implementation of {spec.family} is known for these weights"


def _from_files(source: Path, raw: Mapping[str, Any], device: torch.device) -> Reference:
    changed = {"chunk_size": SHORT_CHUNK} if raw["model_type"] == "mamba2" else {}

    def logits(tokens_T: Tensor, positions_P: Tensor) -> Tensor:
        model = _quiet_transformers().AutoModelForCausalLM.from_pretrained(
            source, dtype=torch.float32, **changed
        )
        return _run(model.to(device), tokens_T, positions_P)

    named = raw.get("architectures")
    first = named[0] if isinstance(named, list) and named else named
    architecture = first if isinstance(first, str) else f"{raw['model_type']} model"
    return Reference(f"transformers {version('transformers')} {architecture}", logits)


def _from_gguf(source: Path, decoder: Decoder) -> Reference | str:
    """Transformers' own reader of GGUF, but for scaled rotary embeddings, which it leaves out."""
    if any(
        isinstance(layer, Attention) and layer.rotary_divisors for layer in decoder.config.layers
    ):
        twin = _as_llama(decoder.config)
        return _from_tensors(twin, decoder) if twin else "nobody else scales its rotary embedding"
    device = decoder.embedding.weight.device

    def logits(tokens_T: Tensor, positions_P: Tensor) -> Tensor:
        model = _quiet_transformers().AutoModelForCausalLM.from_pretrained(
            source.parent, gguf_file=source.name, dtype=torch.float32
        )
        return _run(model.to(device), tokens_T, positions_P)

    kind = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM"}[decoder.config.family]
    return Reference(f"transformers {version('transformers')} {kind} from GGUF", logits)


def _by_mamba_ssm(spec: DecoderConfig, device: torch.device) -> bool:
    """Whether mamba_ssm computes a decoder here; where it rotates heads it asserts flash-attn."""
    rotated = any(isinstance(layer, Attention) and layer.rotary_width for layer in spec.layers)
    needed = ("mamba_ssm", "flash_attn") if rotated else ("mamba_ssm",)
    return device.type == "cuda" and all(map(kernels.installed, needed))


def _mamba_ssm(source: Path, device: torch.device) -> Reference:
    @torch.inference_mode()
    def logits(tokens_T: Tensor, positions_P: Tensor) -> Tensor:
        from mamba_ssm.models.mixer_seq_simple import MambaLMHeadModel

        model = MambaLMHeadModel.from_pretrained(str(source), device=device, dtype=torch.float32)
        logits_TV: Tensor = model.eval()(tokens_T[None]).logits[0]
        return logits_TV[positions_P]

    return Reference(f"mamba-ssm {version('mamba-ssm')} MambaLMHeadModel", logits)


def _rwkv(source: Path, decoder: Decoder) -> Reference | str:
    """The author's package, which reads a `.pth` file and nothing else."""
    if not kernels.installed("rwkv"):
        return "only the rwkv package computes RWKV-6, and it is not installed"
    name = f"rwkv {version('rwkv')} RWKV"
    if source.suffix == ".pth":
        return Reference(name, partial(_rwkv_logits, source))

    def logits(tokens_T: Tensor, positions_P: Tensor) -> Tensor:
        state = _under_their_names(decoder, rwkv6.places_in_pth(decoder.config))
        state["emb.weight"] = decoder.config.embedding_scale * state["emb.weight"]
        whole = {name: tensor.contiguous() for name, tensor in state.items()}
        with _handed_over(whole):
            return _rwkv_logits(Path("model.pth"), tokens_T, positions_P)

    return Reference(name, logits)


@contextmanager
def _handed_over(state: dict[str, Tensor]) -> Iterator[None]:
    """Let `torch.load`, by which the package reads its file, give these tensors.

    A copy of the weights on the disk would be as large as the model.
    """
    load = torch.load
    setattr(torch, "load", lambda *_, **__: state)  # noqa: B010 - for as long as it reads
    try:
        yield
    finally:
        setattr(torch, "load", load)  # noqa: B010


def _rwkv_logits(path: Path, tokens_T: Tensor, positions_P: Tensor) -> Tensor:
    # Read once, when the package is imported; compiling takes longer than reading some tokens.
    os.environ |= {"RWKV_JIT_ON": "0", "RWKV_CUDA_ON": "0"}
    from rwkv.model import RWKV

    model = RWKV(
        model=str(path.with_suffix("")), strategy=f"{tokens_T.device.type} fp32", verbose=False
    )
    logits_TV, _ = model.forward(tokens_T.tolist(), None, full_output=True)
    return cast(Tensor, logits_TV)[positions_P]


@dataclass(frozen=True)
class Twin:
    """A decoder of ours as transformers would describe it."""

    architecture: str
    """The class."""
    settings: Mapping[str, Any]
    """Its configuration, common settings aside."""
    places: Callable[[DecoderConfig], Places]
    embedding_scale: float = 1.0
    """The factor it applies to embeddings by itself."""


def _from_tensors(twin: Twin, decoder: Decoder) -> Reference:
    spec = decoder.config.model_copy(update={"tied": False})

    def logits(tokens_T: Tensor, positions_P: Tensor) -> Tensor:
        transformers = _quiet_transformers()
        kind = getattr(transformers, twin.architecture)
        settings = kind.config_class(
            **twin.settings,
            vocab_size=spec.padded_vocabulary,
            hidden_size=spec.width,
            tie_word_embeddings=False,
        )
        state = _under_their_names(decoder, twin.places(spec))
        (embedding,) = (name for name in state if ".embed" in name)
        state[embedding] = spec.embedding_scale / twin.embedding_scale * state[embedding]
        model, found = kind.from_pretrained(
            None, config=settings, state_dict=state, dtype=torch.float32, output_loading_info=True
        )
        assert not found["missing_keys"] | found["unexpected_keys"], found
        return _run(model.to(tokens_T.device), tokens_T, positions_P)

    return Reference(f"transformers {version('transformers')} {twin.architecture}", logits)


def _under_their_names(decoder: Decoder, places: Places) -> dict[str, Tensor]:
    """The decoder's own tensors, or rows of them, in float32 by the names of another format."""
    return {
        name: place.view(decoder.get_parameter(place.name)).float()
        for name, place in places.items()
    }


def _as_llama(spec: DecoderConfig) -> Twin | None:
    attention, mlp = (*spec.layers, None, None)[:2]
    if not (isinstance(attention, Attention) and isinstance(mlp, MLP)) or not _plain(spec):
        return None
    if attention.window or attention.convolution or attention.qkv_bias != attention.output_bias:
        return None
    if attention.rotary_width != attention.head_width or mlp.activation != "silu":
        return None
    settings = {
        "num_hidden_layers": len(spec.layers) // 2,
        "num_attention_heads": attention.heads,
        "num_key_value_heads": attention.kv_heads,
        "head_dim": attention.head_width,
        "rope_parameters": _rotation(attention),
        "intermediate_size": mlp.hidden,
        "attention_bias": attention.qkv_bias,
        "mlp_bias": mlp.bias,
        "rms_norm_eps": spec.norm.eps,
    }
    expected = (attention, mlp) * (len(spec.layers) // 2)
    return Twin("LlamaForCausalLM", settings, llama.places) if spec.layers == expected else None


def _rotation(attention: Attention) -> dict[str, Any]:
    """How transformers describes the rotary embedding; factors of each frequency as LongRoPE's."""
    theta = {"rope_theta": attention.rotary_base}
    if attention.rotary_divisors is None:
        return {"rope_type": "default"} | theta
    factors = list(attention.rotary_divisors)
    ours = {"long_factor": factors, "short_factor": factors, "attention_factor": 1.0}
    return {"rope_type": "longrope", "original_max_position_embeddings": 1} | ours | theta


def _as_mamba2(spec: DecoderConfig) -> Twin | None:
    layer = spec.layers[0]
    if not isinstance(layer, SSD) or set(spec.layers) != {layer} or not _plain(spec):
        return None
    expand, rest = divmod(layer.heads * layer.head_width, spec.width)
    if rest or layer.norm_eps != spec.norm.eps:
        return None
    settings = {
        "num_hidden_layers": len(spec.layers),
        "num_heads": layer.heads,
        "head_dim": layer.head_width,
        "expand": expand,
        "state_size": layer.state,
        "n_groups": layer.groups,
        "conv_kernel": layer.convolution,
        "chunk_size": SHORT_CHUNK,
        "layer_norm_epsilon": spec.norm.eps,
        "residual_in_fp32": spec.residual_float32,
    }
    return Twin("Mamba2ForCausalLM", settings, mamba2.places)


def _as_recurrent_gemma(spec: DecoderConfig) -> Twin | None:
    temporal, mlps = spec.layers[::2], set(spec.layers[1::2])
    kinds = {type(layer): layer for layer in temporal}
    attention, recurrent, mlp = kinds.get(Attention), kinds.get(RGLRU), next(iter(mlps), None)
    if not (isinstance(attention, Attention) and isinstance(recurrent, RGLRU)):
        return None
    if not isinstance(mlp, MLP) or set(temporal) | mlps != {attention, recurrent, mlp}:
        return None
    if recurrent.blocks != attention.heads or spec.norm != GEMMA_NORM or spec.logit_cap is None:
        return None
    settings = {
        "num_hidden_layers": len(temporal),
        "num_attention_heads": attention.heads,
        "num_key_value_heads": attention.kv_heads,
        "head_dim": attention.head_width,
        "partial_rotary_factor": attention.rotary_width / attention.head_width,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": attention.rotary_base,
            "partial_rotary_factor": attention.rotary_width / attention.head_width,
        },
        "attention_window_size": attention.window,
        "attention_bias": attention.qkv_bias,
        "lru_width": recurrent.width,
        "conv1d_width": recurrent.convolution,
        # The file gives the width of up and gate together.
        "intermediate_size": 2 * mlp.hidden,
        "rms_norm_eps": spec.norm.eps,
        "logits_soft_cap": spec.logit_cap,
        "block_types": ["attention" if layer == attention else "recurrent" for layer in temporal],
    }
    scale = recurrent_gemma.embedding_scale(spec.width)
    return Twin("RecurrentGemmaForCausalLM", settings, recurrent_gemma.places, scale)


def _plain(spec: DecoderConfig) -> bool:
    """Whether nothing but norms without an offset surrounds the layers."""
    norm = Norm(kind="rms", eps=spec.norm.eps)
    return spec.norm == norm and not spec.embedding_norm and spec.logit_cap is None


def _quiet_transformers() -> Any:  # noqa: ANN401 - a module
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


@torch.inference_mode()
def _run(model: torch.nn.Module, tokens_T: Tensor, positions_P: Tensor) -> Tensor:
    logits_PV: Tensor = model.eval()(tokens_T[None], logits_to_keep=positions_P).logits[0]
    return logits_PV
