"""Memory of long prompts: flat where the state is, and that of the keys where there are keys."""

from pathlib import Path

import pytest

from needlework.engine.bench.measure import NANO
from needlework.engine.bench.memory import Reading, readings, table
from needlework.engine.memory import CHUNK
from needlework.models import load

SHORT, LONG = 16_384, 32_768
NOISE = 4 << 20
"""Bytes by which the peaks of two processes differ although both hold the same."""


def grown(model: str) -> tuple[int, int]:
    """By how much peak and formula grow from a short to a long prompt, in bytes."""
    short, long = readings([NANO / model], [SHORT, LONG], threads=1)
    return long.extra - short.extra, long.state - short.state


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mamba2", "rwkv6"])
def test_a_recurrent_model_reads_twice_as_much_in_the_same_memory(model: str) -> None:
    peak, state = grown(model)
    assert abs(peak) < NOISE
    assert state == 0


@pytest.mark.slow
def test_attention_grows_with_its_keys_and_not_with_their_square() -> None:
    """Keys and values, twice while a buffer is enlarged by a quarter, and the mask of one call."""
    peak, state = grown("llama")
    layer = load(NANO / "llama").config.layers[0]
    assert state == 2 * 2 * layer.kv_heads * layer.head_width * 4 * (LONG - SHORT)
    mask = 8 * CHUNK["cpu"] * (LONG - SHORT)
    assert state - NOISE < peak < 2.25 * 1.25 * state + mask + NOISE


def test_the_table_has_a_line_for_every_reading(tmp_path: Path) -> None:
    reading = Reading(model="mamba2", tokens=16_384, cpu=2.0, extra=3 << 20, state=1 << 19)
    assert table([reading]).splitlines()[-1] == "| mamba2 | 16,384 | 2.0 | 8,192 | 3.0 | 0.50 |"
