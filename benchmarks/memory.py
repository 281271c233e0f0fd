"""How much memory one long prompt takes, beside what its model takes anyway.

Every reading has a process of its own, because memory is seldom returned to the system. Linux only:
the peak is read from /proc.
"""

import ctypes
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from needlework import models
from needlework.engine.interruption import Interruption
from needlework.engine.memory import limits_for, row_bytes
from needlework.engine.prefill import read
from needlework.models.decoder import Decoder
from needlework.parsing import Closed
from needlework.tokenizers.prefixes import Tokens

WARM_UP = 4096
"""Tokens read before the clock starts: the buffers of a forward call belong to the model."""
BUDGET = 4 << 30
"""Bytes the limits of a reading are made for."""
MEBIBYTE = 1 << 20
MMAP_THRESHOLD = -3
"""M_MMAP_THRESHOLD of mallopt(3)."""


class Reading(Closed):
    """One prompt of one model."""

    model: str
    tokens: int
    cpu: float
    """Seconds."""
    extra: int
    """Bytes of main memory at the peak, beyond those at the peak of a prompt of 4,096 tokens."""
    state: int
    """Bytes of the row's state by the formula from which the engine sets its limits."""


def readings(
    checkpoints: Sequence[Path], lengths: Sequence[int], *, threads: int
) -> Iterator[Reading]:
    """Every checkpoint at every length, each in a fresh process."""
    for checkpoint in checkpoints:
        for tokens in lengths:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                yield pool.submit(_reading, checkpoint, tokens, threads).result()


def _reading(checkpoint: Path, tokens: int, threads: int) -> Reading:
    torch.set_num_threads(threads)
    # By default glibc raises this threshold as it goes, and what lies below it is not given back
    # when freed: the same reading would peak now higher, now lower.
    ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, MEBIBYTE)
    decoder = models.load(checkpoint)
    prompt = np.random.default_rng(0).integers(3, decoder.config.vocabulary, tokens, dtype=np.int32)
    _read(decoder, prompt[:WARM_UP])
    before, start = _peak(), time.process_time()
    _read(decoder, prompt)
    return Reading(
        model=checkpoint.name,
        tokens=tokens,
        cpu=time.process_time() - start,
        extra=_peak() - before,
        state=row_bytes(decoder, tokens),
    )


@torch.inference_mode()
def _read(decoder: Decoder, prompt: Tokens) -> None:
    """Read the prompt as the engine does when it is alone in its cell."""
    limits = limits_for(decoder, len(prompt), memory=BUDGET)
    state = decoder.slots(1, len(prompt), 0).begin(0, [decoder.init_state(1)])
    rows = read(
        decoder,
        [prompt],
        state,
        limits=limits,
        interruption=Interruption(),
    )
    for _, hidden_RD, _ in rows:
        decoder.logits(hidden_RD)


def _peak() -> int:
    """The most main memory this process has held, in bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return 1024 * int(line.split()[1])


def table(found: Sequence[Reading]) -> str:
    """The readings as Markdown."""
    lines = [
        "| model | prompt, tokens | CPU s | tokens a CPU s | peak beyond that of 4,096 tokens, MiB "
        "| state by formula, MiB |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for each in found:
        lines.append(
            f"| {each.model} | {each.tokens:,} | {each.cpu:.1f} | {each.tokens / each.cpu:,.0f} "
            f"| {each.extra / MEBIBYTE:.1f} | {each.state / MEBIBYTE:.2f} |"
        )
    return "\n".join(lines) + "\n"
