"""At the sizes of the published models: minutes, by hand and whenever a kernel changes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from needlework.cost.published import CHECKPOINTS, published
from needlework.models import kernels
from needlework.models.config import SSD, Attention, MixerConfig, TimeMix
from needlework.models.random_weights import random_layer
from tests.kernels import interpreter, test_scans
from tests.kernels.compiler import SHARED_BYTES
from tests.kernels_for_tests import (
    Draws,
    diagonal_scan_arguments,
    difference_from_torch,
    layer_results,
    scan_difference,
    selective_scan_arguments,
    weighted_key_values_arguments,
)

pytestmark = [*interpreter.KERNELS, pytest.mark.full_size]

ROOT = Path(__file__).parents[2]
# Rounding of half precision, through a projection of 2,560 channels.
TOLERANCE = 3e-2
MIXERS = {
    f"{checkpoint} {layer.kind} {index}": (layer, spec.width)
    for checkpoint in CHECKPOINTS
    if (spec := published(checkpoint))
    for index, layer in enumerate(dict.fromkeys(spec.layers))
    if layer.kind not in ("mlp", "channel_mix")
} | {
    "Qwen2-1.5B attention": (
        Attention(heads=12, kv_heads=2, head_width=128, rotary_width=128, qkv_bias=True),
        1536,
    )
}


def test_every_checkpoint_is_here() -> None:
    assert {name.split()[0] for name in MIXERS} >= set(CHECKPOINTS)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", MIXERS)
def test_compiled_packages_take_every_layer_of_the_checkpoints(
    name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Convolutions and attention; the recurrences, which would take minutes here, stay on torch."""
    layer, width = MIXERS[name]
    monkeypatch.setattr(
        kernels, "installed", lambda module: module in ("flash_attn", "causal_conv1d")
    )
    mixer = random_layer(layer, width, dtype=dtype)
    found = difference_from_torch(lambda: layer_results(mixer, width, rows=2, tokens=6))
    assert found <= TOLERANCE


SCANS: dict[str, MixerConfig] = {
    "mamba2-2.7b": SSD(heads=2, head_width=64, state=128, chunk=256),
    "two blocks of state": SSD(heads=1, head_width=16, state=256, chunk=256),
    "rwkv-6-world-3b": TimeMix(heads=1, head_width=64, shift_rank=1, decay_rank=1),
}
"""Heads as wide as published; fewer, since every head is a program of its own."""


@pytest.mark.parametrize("tokens", [1, 300])
@pytest.mark.parametrize("memory", [0.005, 1000.0])
@pytest.mark.parametrize("name", SCANS)
def test_heads_of_the_published_widths(name: str, memory: float, tokens: int) -> None:
    spec = SCANS[name]
    draws = Draws.seeded(tokens)
    if isinstance(spec, SSD):
        arguments = selective_scan_arguments(spec, 1, tokens, memory=memory, draws=draws)
        found = scan_difference("selective_scan", arguments, chunk=spec.chunk)
    else:
        arguments = weighted_key_values_arguments(spec, 1, tokens, memory=memory, draws=draws)
        found = scan_difference("weighted_key_values", arguments, chunk=spec.chunk)
    assert found.within(test_scans.TOLERANCE), found


def test_a_diagonal_scan_as_wide_as_published() -> None:
    arguments = diagonal_scan_arguments(2560, 1, 300, memory=1000.0, draws=Draws.seeded(0))
    found = scan_difference("diagonal_scan", arguments)
    assert found.within(test_scans.TOLERANCE), found


@pytest.mark.parametrize("configuration", range(0, 42, 3))
def test_every_third_configuration_gives_the_same(
    configuration: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreter, "configuration", configuration)
    arguments = diagonal_scan_arguments(70, 1, 140, draws=Draws.seeded(0))
    assert scan_difference("diagonal_scan", arguments).within(test_scans.TOLERANCE)
    spec, time = test_scans.GROUPED, test_scans.TIME
    arguments = selective_scan_arguments(spec, 1, 40, draws=Draws.seeded(0))
    found = scan_difference("selective_scan", arguments, chunk=spec.chunk)
    assert found.within(test_scans.TOLERANCE), found
    arguments = weighted_key_values_arguments(time, 1, 70, draws=Draws.seeded(0))
    found = scan_difference("weighted_key_values", arguments, chunk=time.chunk)
    assert found.within(test_scans.TOLERANCE), found


@pytest.mark.parametrize("architecture", SHARED_BYTES)
def test_every_kernel_compiles_for_a_gpu_that_is_not_there(
    architecture: int, tmp_path: Path
) -> None:
    """One configuration each; it has to fit into the shared memory of a program.

    A race shows in no number here, so what is launched at all is compared with what may be.
    """
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path)}
    del environment["TRITON_INTERPRET"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.kernels.compiler", str(architecture)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    compiled = json.loads(done.stdout)
    assert set(compiled) == LAUNCHED
    shared = {name: found["shared"] for name, found in compiled.items()}
    assert max(shared.values()) <= SHARED_BYTES[architecture], shared


LAUNCHED = {
    "add_norm_kernel",
    "convolve_token_kernel",
    "decay_kernel",
    "gated_kernel",
    "head_norm_gate_kernel",
    "lru_gates_kernel",
    "mix_kernel",
    "rotate_append_kernel",
    "write_token_kernel",
    "_bmm_chunk_fwd_kernel",
    "_chunk_cumsum_fwd_kernel",
    "_chunk_scan_fwd_kernel",
    "_chunk_state_fwd_kernel",
    "_layer_norm_fwd_1pass_kernel",
    "_selective_scan_update_kernel",
    "_state_passing_fwd_kernel",
    "chunk_fwd_kernel_h",
    "chunk_gla_fwd_kernel_o",
    "chunk_rwkv6_fwd_A_kernel_intra_sub_inter",
    "chunk_rwkv6_fwd_A_kernel_intra_sub_intra",
    "chunk_rwkv6_fwd_cumsum_kernel",
    "fused_recurrent_hgrn_fwd_kernel",
    "fused_recurrent_rwkv6_fwd_kernel",
}
"""The kernels of our path; the interpreter has watched each of them for races."""
