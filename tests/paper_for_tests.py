"""The eight checkpoints of the paper as the hub has them, but a thousand times smaller.

Names, formats, splitting into files and vocabularies are the published ones; widths are tiny, and
every parameter is random.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from needlework.models.checkpoints import decoder_config
from needlework.models.decoder import Decoder
from tests import configurations_for_tests as configurations
from tests.configurations_for_tests import HEADS
from tests.hub_for_tests import Hub
from tests.models_for_tests import randomise

STATE_SPACE = {"layer": "Mamba2", "headdim": 16, "d_state": 16, "chunk_size": 64}
MAMBA_SSM = configurations.MAMBA | {"d_model": 32, "n_layer": 2, "ssm_cfg": STATE_SPACE}
CONVOLVED = {"num_heads": 3, "head_dim": 16, "rotary_emb_dim": 8, "d_conv": 4}
GEMMA = configurations.GEMMA | {
    "architectures": ["RecurrentGemmaForCausalLM"],
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "head_dim": 16,
    "intermediate_size": 128,
    "lru_width": 32,
}
LLAMA = configurations.SHEARED | {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "intermediate_size": 64,
    "hidden_act": "silu",
}
RWKV = configurations.RWKV6 | {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "intermediate_size": 128,
}
SPREAD = 0.1
"""Of the random parameters. With three times as much, rounding to bfloat16 moves the logits of the
RWKV-6 by 0.13 of the largest where the package of its author computes them, and by 0.11 in ours:
beyond what verification lets pass, though in float32 both agree within 0.0001.
"""
PAPER: Mapping[str, tuple[dict[str, Any], str, int]] = {
    "state-spaces/mamba2-2.7b": (MAMBA_SSM, "pytorch_model.bin", 1),
    "state-spaces/mamba2attn-2.7b": (
        MAMBA_SSM | {"attn_layer_idx": [1], "attn_cfg": HEADS | CONVOLVED},
        "pytorch_model.bin",
        1,
    ),
    "state-spaces/transformerpp-2.7b": (
        MAMBA_SSM
        | {"d_intermediate": 64, "ssm_cfg": {}, "attn_layer_idx": [0, 1]}
        | {"attn_cfg": HEADS | {"num_heads": 4, "head_dim": 8, "rotary_emb_dim": 4}},
        "pytorch_model.bin",
        1,
    ),
    "google/recurrentgemma-2b": (GEMMA, "model.safetensors", 2),
    "google/recurrentgemma-2b-it": (GEMMA, "model.safetensors", 2),
    "princeton-nlp/Sheared-LLaMA-2.7B": (LLAMA, "pytorch_model.bin", 2),
    "princeton-nlp/Sheared-LLaMA-2.7B-ShareGPT": (
        LLAMA | {"vocab_size": 32001},
        "pytorch_model.bin",
        2,
    ),
    "RWKV/rwkv-6-world-3b": (RWKV, "pytorch_model.bin", 1),
}
"""Configuration, file of the weights, and into how many it is split."""


def repositories(
    folder: Path, commits: Mapping[str, str], of_google: Mapping[str, bytes]
) -> list[Hub]:
    """Every checkpoint as a repository, at these commits or at made-up ones.

    Those of Google want their terms accepted, and have further files.
    """
    found = []
    for number, (hub_id, (config, weights, parts)) in enumerate(PAPER.items()):
        place = folder / hub_id
        write_checkpoint(place, config, weights, parts=parts, seed=number)
        files = {path.name: path.read_bytes() for path in place.iterdir()}
        gated = hub_id.startswith("google/")
        commit = commits.get(hub_id) or hashlib.sha1(hub_id.encode()).hexdigest()
        more = of_google if gated else {}
        found.append(Hub(hub_id, {**files, **more}, commit=commit, gated=gated))
    return found


def write_checkpoint(
    folder: Path, config: dict[str, Any], weights: str, *, parts: int, seed: int
) -> None:
    """A random model under its published names, in as many files as its owner has."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    tensors = _tensors(config, seed)
    if parts == 1:
        _save(tensors, folder / weights)
        return
    stem, _, suffix = weights.partition(".")
    names = [f"{stem}-{part:05}-of-{parts:05}.{suffix}" for part in range(1, parts + 1)]
    places = {name: names[index % parts] for index, name in enumerate(tensors)}
    for file in names:
        _save({name: each for name, each in tensors.items() if places[name] == file}, folder / file)
    index = {"metadata": {}, "weight_map": places}
    (folder / f"{weights}.index.json").write_text(json.dumps(index), encoding="utf-8")


def _tensors(config: dict[str, Any], seed: int) -> dict[str, Tensor]:
    spec, family = decoder_config(config, where="config.json")
    torch.manual_seed(seed)
    decoder = Decoder(spec)
    randomise(decoder, seed, spread=SPREAD)
    parameters = dict(decoder.named_parameters())
    return {
        name: place.view(parameters[place.name]).detach().clone()
        for name, place in family.places(spec).items()
        if not place.alias
    }


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    if path.suffix == ".safetensors":
        save_file(tensors, path, metadata={"format": "pt"})
    else:
        torch.save(tensors, path)
