"""A nano checkpoint in the format of transformers, so that others can answer with it.

Our loaders name every tensor of that format, so the tensors are written where they would be read.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from needlework import models
from needlework.errors import CheckpointError
from needlework.files import atomic, write_text
from needlework.models.checkpoints import llama, mamba2
from needlework.models.config import MLP, SSD, Attention, DecoderConfig

PAD, BEGIN, END = 0, 1, 2
"""Special tokens of the nano vocabulary."""


def export(checkpoint: Path, tokenizer: Path, folder: Path) -> None:
    """Write the checkpoint and its tokenizer to `folder` as LlamaForCausalLM or Mamba2ForCausalLM.

    The scale of the embeddings becomes part of their weights, which changes no bit of the result.

    Raises:
        CheckpointError: the checkpoint is of another family.
    """
    decoder = models.load(checkpoint)
    spec = decoder.config
    places, settings = {"llama": (llama.places, _llama), "mamba2": (mamba2.places, _mamba2)}.get(
        spec.family, (None, None)
    )
    if places is None or settings is None:
        raise CheckpointError(
            f"{checkpoint} is a {spec.family} model; only llama and mamba2 have a form in "
            "transformers that computes the same"
        )
    with torch.no_grad():
        decoder.embedding.weight.mul_(spec.embedding_scale)
    parameters = dict(decoder.named_parameters())
    tensors = {
        name: place.view(parameters[place.name]).clone()
        for name, place in places(spec).items()
        if not place.alias
    }
    with atomic(folder / "model.safetensors") as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
    common = {
        "vocab_size": spec.vocabulary,
        "hidden_size": spec.width,
        "tie_word_embeddings": False,
        "dtype": "float32",
        "pad_token_id": PAD,
        "bos_token_id": BEGIN,
        "eos_token_id": END,
    }
    write_text(folder / "config.json", json.dumps(common | settings(spec), indent=1))
    _export_tokenizer(tokenizer, folder)


def _export_tokenizer(source: Path, folder: Path) -> None:
    """The same files; transformers would otherwise take the class of the model's first release."""
    write_text(folder / "tokenizer.json", (source / "tokenizer.json").read_text(encoding="utf-8"))
    sidecar = json.loads((source / "tokenizer_config.json").read_text(encoding="utf-8"))
    sidecar["tokenizer_class"] = "PreTrainedTokenizerFast"
    write_text(folder / "tokenizer_config.json", json.dumps(sidecar, indent=1))


def _llama(spec: DecoderConfig) -> dict[str, Any]:
    attention, mlp = spec.layers[:2]
    assert isinstance(attention, Attention)
    assert isinstance(mlp, MLP)
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "num_hidden_layers": len(spec.layers) // 2,
        "num_attention_heads": attention.heads,
        "num_key_value_heads": attention.kv_heads,
        "head_dim": attention.head_width,
        "intermediate_size": mlp.hidden,
        "rms_norm_eps": spec.norm.eps,
        "rope_theta": attention.rotary_base,
        "max_position_embeddings": 1 << 20,
    }


def _mamba2(spec: DecoderConfig) -> dict[str, Any]:
    layer = spec.layers[0]
    assert isinstance(layer, SSD)
    return {
        "model_type": "mamba2",
        "architectures": ["Mamba2ForCausalLM"],
        "num_hidden_layers": len(spec.layers),
        "num_heads": layer.heads,
        "head_dim": layer.head_width,
        "expand": layer.heads * layer.head_width // spec.width,
        "state_size": layer.state,
        "n_groups": layer.groups,
        "conv_kernel": layer.convolution,
        "chunk_size": layer.chunk,
        "layer_norm_epsilon": spec.norm.eps,
        "residual_in_fp32": True,
    }
