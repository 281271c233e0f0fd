"""A model that transformers computes, with code that comes in its folder."""

import json
from pathlib import Path

import torch
import transformers

MODELING = """
import os, signal, sys, torch
from transformers import LlamaConfig, LlamaForCausalLM

class XConfig(LlamaConfig):
    model_type = "x"

class XForCausalLM(LlamaForCausalLM):
    config_class = XConfig

    def forward(self, *given, **named):
        {act}
        out = super().forward(*given, **named)
        out.logits = SCALE * out.logits
        return out

SCALE = 1
"""


def write_with_code(folder: Path, *, vocabulary: int, act: str = "pass") -> None:
    """A small random Llama whose own code carries out `act` whenever it reads."""
    config = transformers.LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
    )
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    path = folder / "config.json"
    raw = json.loads(path.read_text()) | {"model_type": "x"}
    raw["auto_map"] = {
        "AutoConfig": "modeling_x.XConfig",
        "AutoModelForCausalLM": "modeling_x.XForCausalLM",
    }
    path.write_text(json.dumps(raw))
    (folder / "modeling_x.py").write_text(MODELING.format(act=act))
