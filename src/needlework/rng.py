"""Random streams with an address: no draw depends on what was drawn elsewhere."""

import hashlib
import random


def stream(seed: int, *address: str | int) -> random.Random:
    """A generator that depends on the seed and the address alone.

    Adding a task, skipping a sample or running in parallel therefore moves no other draw.
    """
    return random.Random(stream_seed(seed, *address))


def stream_seed(seed: int, *address: str | int) -> int:
    """The 256-bit seed behind `stream`, for libraries that bring their own generator."""
    key = "/".join(map(str, (seed, *address)))
    return int.from_bytes(hashlib.sha256(key.encode()).digest(), "big")
