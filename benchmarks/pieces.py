"""What parts of the engine cost by themselves: planning, the journal, and the machine's peak."""

import hashlib
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from needlework.engine.journal import Entry, Journal
from needlework.engine.schedule import Limits, schedule
from needlework.tokenizers.prefixes import Tokens, plan_forest

PROMPTS = 100_000
BOOKS, LENGTH, NEEDLE = PROMPTS // 7, 256, 12
"""Each book has a needle at seven depths, as in the depth suite."""
ENTRIES = 2000
LIMITS = Limits(tokens=2048, chunk=128, rows=64, states=64)
PEAK_SHAPE = (2048, 512, 512)
PEAK_RUNS = 20


def planning_seconds() -> float:
    """CPU seconds to plan and schedule a cell of 100,000 prompts of 256 tokens."""
    prompts = _prompts()
    start = time.process_time()
    batches = schedule(plan_forest(prompts), LIMITS)
    seconds = time.process_time() - start
    assert batches
    return seconds


def _prompts() -> list[Tokens]:
    draws = np.random.default_rng(0)
    prompts = []
    for _ in range(BOOKS + 1):
        book = draws.integers(3, 500, LENGTH - NEEDLE, dtype=np.int32)
        needle = draws.integers(3, 500, NEEDLE, dtype=np.int32)
        for depth in (0, 20, 40, 50, 60, 80, 100):
            at = len(book) * depth // 100
            prompts.append(np.concatenate([book[:at], needle, book[at:]]))
    return prompts[:PROMPTS]


def journal_seconds(folder: Path) -> float:
    """Seconds to append one answer of ten tokens, disk included, on the file system of `folder`."""
    entries = [
        Entry(
            key=hashlib.sha256(str(number).encode()).hexdigest(),
            tokens=tuple(range(400, 410)),
            stop_reason="limit",
            libraries="torch",
        )
        for number in range(ENTRIES)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as place, Journal(Path(place) / "j") as journal:
        start = time.perf_counter()
        for entry in entries:
            journal.append([entry])
        return (time.perf_counter() - start) / ENTRIES


def peak_flops(dtype: str = "float32") -> float:
    """Floating-point operations a second of one core in products of a dtype: the best of some."""
    torch.set_num_threads(1)
    rows, inner, columns = PEAK_SHAPE
    kind = getattr(torch, dtype)
    left, right = torch.ones(rows, inner, dtype=kind), torch.ones(inner, columns, dtype=kind)
    best = float("inf")
    for _ in range(PEAK_RUNS):
        start = time.process_time()
        torch.mm(left, right)
        best = min(best, time.process_time() - start)
    return 2 * rows * inner * columns / best
