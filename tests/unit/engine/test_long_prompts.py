"""Memory of long prompts: flat where the state is, and that of the keys where there are keys."""

import ctypes
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch

from benchmarks import memory
from benchmarks.measure import NANO
from benchmarks.memory import Reading, readings, table
from needlework.engine import choosing
from needlework.engine.cell import Setting, predict_cell
from needlework.engine.memory import CHUNK, longest_that_fits
from needlework.models import load
from needlework.records import Sample
from tests.engine_for_tests import LIMIT, NumberTokenizer, dataset, text

SHORT, LONG = 16_384, 32_768
NOISE = 4 << 20
"""Bytes by which the peaks of two processes differ although both hold the same."""


def grown(model: str, lengths: tuple[int, int]) -> tuple[int, int]:
    """By how much peak and formula grow from a short to a long prompt, in bytes."""
    short, long = readings([NANO / model], lengths, threads=1)
    return long.extra - short.extra, long.state - short.state


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mamba2", "rwkv6", "griffin"])
def test_a_recurrent_model_reads_four_times_as_much_in_the_same_memory(model: str) -> None:
    """From 16K to 64K tokens nothing but the prompt itself is longer; cells of 128K are read in
    tests/workflow/test_long_lengths.py.
    """
    peak, state = grown(model, (SHORT, 4 * SHORT))
    assert abs(peak) < NOISE
    assert state == 0


@pytest.mark.slow
def test_attention_grows_with_its_keys_and_not_with_their_square() -> None:
    """Keys and values, once, and the mask of one call."""
    peak, state = grown("llama", (SHORT, LONG))
    layer = load(NANO / "llama").config.layers[0]
    assert state == 2 * 2 * layer.kv_heads * layer.head_width * 4 * (LONG - SHORT)
    mask = 8 * CHUNK["cpu"] * (LONG - SHORT)
    assert state - NOISE < peak < state + mask + NOISE


def test_the_table_has_a_line_for_every_reading(tmp_path: Path) -> None:
    reading = Reading(model="mamba2", tokens=16_384, cpu=2.0, extra=3 << 20, state=1 << 19)
    assert table([reading]).splitlines()[-1] == "| mamba2 | 16,384 | 2.0 | 8,192 | 3.0 | 0.50 |"


BUDGET = 48 << 20
"""Bytes that a cell is given; enough for 8,500 tokens of Llama."""


def _peak_of_a_cell(folder: Path) -> tuple[int, int]:
    """The longest prompt that fits into BUDGET, and by how much answering it raised the peak.

    Every choice is contested, so the prompt is read a second time beside its own cache: the worst
    that can happen to a row.
    """
    ctypes.CDLL(None).mallopt(memory.MMAP_THRESHOLD, memory.MEBIBYTE)
    torch.set_num_threads(1)
    decoder = load(NANO / "llama")
    fits = longest_that_fits(decoder, BUDGET)
    choosing.CLOSE[torch.float32] = 10.0
    setting, peaks = Setting(memory=BUDGET), []
    for tokens in (600, fits):
        words = text([3 + number * 7919 % 30 for number in range(tokens - LIMIT - 1)])
        asked = Sample(index=0, input=words, outputs=("no number",), length=tokens)
        predict_cell(
            decoder,
            NumberTokenizer(),
            {"task": dataset([asked])},
            revision="first",
            journal=folder / str(tokens),
            setting=setting,
        )
        peaks.append(memory._peak())
    return fits, peaks[1] - peaks[0]


@pytest.mark.slow
def test_the_longest_cell_that_is_not_refused_stays_in_its_memory(tmp_path: Path) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        fits, grown = pool.submit(_peak_of_a_cell, tmp_path).result()
    assert fits > 5000
    assert 0.25 * BUDGET < grown < BUDGET + NOISE
