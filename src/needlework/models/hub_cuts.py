"""Where sequences are cut to see whether the cache of transformers continues them."""

FINEST, PARTS = 16, 8
"""Lengths in the smallest range that is tried as one, and such ranges in an octave."""


def lengths_around(length: int) -> tuple[int, int]:
    """The first and last of the lengths that are tried together with this one."""
    part = max(FINEST, (1 << (length - 1).bit_length()) // (2 * PARTS))
    last = -(-length // part) * part
    return last - part + 1, last


def cuts_inside(length: int) -> tuple[int, ...]:
    """Places where a sequence of so many tokens is cut to see whether it may be cut anywhere."""
    return 7, 12, length // 3, length // 2, length - 1


def cuts_after(first: int, length: int) -> tuple[int, ...]:
    """Places where it is cut to see whether answers continue prompts of `first` tokens and more."""
    return first, (first + length) // 2, length - 2, length - 1
