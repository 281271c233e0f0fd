"""Tiny GGUF files as llama.cpp's converter writes them: rows of q and k turned, weights rounded."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFWriter, quantize
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

WIDTH, HIDDEN, HEADS, KV_HEADS, LAYERS = 256, 512, 4, 2, 2
"""Widths that are a multiple of every block of a rounding."""
CHAT_ML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] "
    "+ '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
NORMAL, CONTROL = 1, 3
Settings = Mapping[str, Any]


def vocabulary() -> tuple[list[str], list[str]]:
    """Words and merges of a small byte-level tokenizer, special ones first."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=288,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator(
        ["the magic number of the sour milk is one of the others"] * 9, trainer
    )
    model = json.loads(made.to_str())["model"]
    words = sorted(model["vocab"], key=model["vocab"].__getitem__)
    return words, [" ".join(merge) for merge in model["merges"]]


def tokenizer_settings(pre: str = "smollm", *, chat: str | None = CHAT_ML) -> dict[str, Any]:
    """What a file says of that tokenizer."""
    words, merges = vocabulary()
    kinds = [CONTROL if word in SPECIAL else NORMAL for word in words]
    found = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": words,
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_bos_token": False,
    }
    return found | ({"tokenizer.chat_template": chat} if chat else {})


def settings_of(family: str, **changes: Any) -> dict[str, Any]:
    """The hyperparameters of the tiny model."""
    found = {
        "block_count": LAYERS,
        "context_length": 512,
        "embedding_length": WIDTH,
        "feed_forward_length": HIDDEN,
        "attention.head_count": HEADS,
        "attention.head_count_kv": KV_HEADS,
        "rope.freq_base": 10000.0,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "rope.dimension_count": WIDTH // HEADS,
        "vocab_size": 288,
    }
    return {f"{family}.{key}": value for key, value in (found | changes).items()}


def tensors_of(family: str, *, tied: bool = True, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random weights under llama.cpp's names, rows as transformers has them."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return 0.3 * torch.randn(shape, generator=generator) / shape[-1] ** 0.25

    keys = KV_HEADS * WIDTH // HEADS
    found = {"token_embd.weight": draw(288, WIDTH), "output_norm.weight": 1 + draw(WIDTH)}
    found |= {} if tied else {"output.weight": draw(288, WIDTH)}
    for layer in range(LAYERS):
        block = {
            "attn_norm.weight": 1 + draw(WIDTH),
            "attn_q.weight": draw(WIDTH, WIDTH),
            "attn_k.weight": draw(keys, WIDTH),
            "attn_v.weight": draw(keys, WIDTH),
            "attn_output.weight": draw(WIDTH, WIDTH),
            "ffn_norm.weight": 1 + draw(WIDTH),
            "ffn_gate.weight": draw(HIDDEN, WIDTH),
            "ffn_up.weight": draw(HIDDEN, WIDTH),
            "ffn_down.weight": draw(WIDTH, HIDDEN),
        }
        if family == "qwen2":
            block |= {"attn_q.bias": draw(WIDTH), "attn_k.bias": draw(keys)}
            block |= {"attn_v.bias": draw(keys)}
        found |= {f"blk.{layer}.{name}": tensor for name, tensor in block.items()}
    return found


def turned(tensor: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows in the order of llama.cpp: the pair that is rotated together lies together."""
    halves = tensor.unflatten(0, (heads, 2, -1))
    return halves.transpose(1, 2).reshape(tensor.shape)


def write(
    path: Path,
    family: str = "llama",
    *,
    rounding: str = "F32",
    tensors: Mapping[str, torch.Tensor] | None = None,
    settings: Settings | None = None,
    tokenizer: Settings | None = None,
) -> Path:
    """A GGUF file of the tiny model; matrices are rounded, vectors never."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = GGUFWriter(path, family)
    told = tokenizer_settings() if tokenizer is None else tokenizer
    for key, value in {**(settings or settings_of(family)), **told}.items():
        _setting(writer, key, value)
    for name, tensor in (tensors or tensors_of(family)).items():
        if family == "llama" and (".attn_q." in name or ".attn_k." in name):
            tensor = turned(tensor, HEADS if ".attn_q." in name else KV_HEADS)
        kind = GGMLQuantizationType[rounding if tensor.ndim > 1 else "F32"]
        values = quantize(tensor.numpy().astype(np.float32), kind)
        writer.add_tensor(name, values, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _setting(writer: GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        assert isinstance(value, Sequence)
        writer.add_array(key, value)
