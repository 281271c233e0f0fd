"""CPU settings for forward calls: threads and allocator; no result depends on them."""

import ctypes
import sys

import torch

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's `mallopt` (malloc.h)."""
LARGEST_KEPT = 32 << 20
"""Bytes of the largest piece that glibc can keep; larger ones come from the system each time."""
MOST_KEPT = (1 << 31) - 1
"""Bytes that may lie free before they go back to the system: as many as `mallopt` can say."""


def prepare_processor(threads: int) -> None:
    """Use this many threads, and keep memory that tensors free for the next ones.

    Without being told, glibc returns the megabytes of every activation to the system and asks for
    them again at the next layer; the system clears each page anew. In nano models that took from 3
    to 44 % of a forward call (reports/benchmarks.md). Where there is no glibc nothing is changed.
    """
    torch.set_num_threads(threads)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(TRIM_THRESHOLD, MOST_KEPT)
