"""Clocks, memory and prompts that every measurement needs."""

# Shapes: R rows, D width.
import gc
import re
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from needlework.engine.prefill import read
from needlework.engine.schedule import Limits
from needlework.models.decoder import Decoder
from needlework.models.state import DecoderState
from needlework.tokenizers import Blank, Cuts
from needlework.tokenizers.prefixes import Tokens

REPEATS = 3
LONG_ENOUGH = 1.5
"""Seconds after which a call is not repeated."""


class Numbers:
    """A tokenizer whose words are ids: answers of random weights have no text."""

    identity = "numbers"
    begin: tuple[int, ...] = ()
    end: frozenset[int] = frozenset()
    vocabulary = 0
    blank: Blank | None = None
    cuts: Cuts | None = None

    def encode(self, text: str) -> list[int]:
        """The numbers of a text."""
        return [int(word) for word in text.split()]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Those of every text."""
        return [self.encode(text) for text in texts]

    def starts(self, text: str) -> list[int]:
        """Where each number begins."""
        return [found.start() for found in re.finditer(r"\S+", text)]

    def decode(self, tokens: Sequence[int]) -> str:
        """The numbers, as text."""
        return " ".join(map(str, tokens))


def read_prompts(
    decoder: Decoder, prompts: list[Tokens], limits: Limits
) -> tuple[Tensor, DecoderState]:
    """Prompts of one length to their end: what the head reads there, and the states."""
    reading = read(decoder, prompts, decoder.init_state(len(prompts)), limits=limits)
    _, hidden_RD, state = next(reading)
    decoder.logits(hidden_RD)
    return hidden_RD, state


def timed(call: Callable[[], object], device: str) -> float:
    """Seconds of a call: the median of a few after one that warms up.

    On a CPU those of this process, which other programs do not lengthen, with one thread.
    """
    clock = time.perf_counter if device == "cuda" else time.process_time
    taken: list[float] = []
    call()
    wait(device)
    while len(taken) < REPEATS and sum(taken) < LONG_ENOUGH:
        began = clock()
        call()
        wait(device)
        taken.append(clock() - began)
    return statistics.median(taken)


def wait(device: str) -> None:
    """Until everything is computed that was asked for."""
    if device == "cuda":
        torch.cuda.synchronize()


def forget() -> None:
    """Return free memory to the device, and count its peak anew."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_bytes(device: str) -> int | None:
    """Most memory in use on the GPU since `forget`; None on a CPU."""
    return torch.cuda.max_memory_allocated() if device == "cuda" else None


def draws(decoder: Decoder, rows: int, length: int) -> list[Tokens]:
    """Prompts of random tokens, always the same."""
    random = np.random.default_rng(0)
    vocabulary = decoder.config.vocabulary
    return [random.integers(0, vocabulary, length, dtype=np.int32) for _ in range(rows)]
