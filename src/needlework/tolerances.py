"""How far a model's logits may lie from those of its reference, which computes in float32.

Without torch, because records and reviews hold files against it.
"""

from collections.abc import Mapping
from typing import Literal

Dtype = Literal["float32", "bfloat16", "float16"]
DeviceKind = Literal["cpu", "cuda"]

TOLERANCES: Mapping[tuple[Dtype, DeviceKind], float] = {
    # Sums in another order: up to 4e-6 in the nano models, to 7e-5 in random models of 64 layers.
    ("float32", "cpu"): 1e-3,
    # Kernels multiply float32 as TF32, with 10 bits: up to 1.2e-3 in nano models with random
    # weights where that is emulated; not yet run on a GPU.
    ("float32", "cuda"): 1e-2,
    # Weights and activations of 10 bits: up to 0.005 in the nano models, 0.008 in 64 layers.
    ("float16", "cpu"): 0.03,
    ("float16", "cuda"): 0.03,
    # Of 7 bits: up to 0.041 in the nano models and 0.05 in 64 layers. The published defects move
    # logits by 0.2 (m2a-conv-state) and 0.5 (rg-window) in the nano models, so they are seen.
    ("bfloat16", "cpu"): 0.1,
    ("bfloat16", "cuda"): 0.1,
}
"""Largest difference to the reference as a share of the largest logit, by dtype and device."""

GGUF: Mapping[str, float] = {
    # llama.cpp keeps keys and values in float16: single logits of SmolLM2, its weights written out,
    # were up to 0.0015 from ours; with `--type_k 0 --type_v 0`, float32, up to 4e-6.
    "F32": TOLERANCES["float16", "cpu"],
    # It rounds what it multiplies to the type of the weights.
    "F16": TOLERANCES["float16", "cpu"],
    "BF16": TOLERANCES["bfloat16", "cpu"],
}
"""How far a token of llama.cpp may lie below the best one, by the kind of the weights."""
ROUNDED = 0.12
"""The same for all other kinds, with which it multiplies what it rounds to 8 bits: single logits of
SmolLM2 (Q4_1) were up to 0.057 from ours, on 449 tokens of five prompts, so that two were up to
twice that nearer to each other. Among them lie 1 to 13 of 49,152 tokens, in the median of a prompt.
"""
