"""Where a stored page differs from the one that follows, as a browser or a person reads it.

Knows bytes, lines and the blocks of the explorer; does not know what pages show.
"""

from itertools import zip_longest
from pathlib import Path

from needlework.report.explorer.packing import Packed, packed

EXPLORER = "explorer.html"
QUOTED = 60
"""Characters of a line that are shown where it differs."""


def first_difference(stored: Path, found: Path) -> str:
    """What differs; nothing where only the packing of the explorer's data does."""
    old, new = stored.read_bytes(), found.read_bytes()
    if old == new:
        return ""
    if found.name == EXPLORER:
        return _of_blocks(old, new)
    try:
        lines = [content.decode().splitlines() for content in (old, new)]
    except UnicodeDecodeError:
        return "another picture than follows"
    for number, (one, other) in enumerate(zip_longest(*lines, fillvalue=""), start=1):
        if one != other:
            return _quoted(f"line {number} ", one, other)
    return "other line ends"


def _of_blocks(old: bytes, new: bytes) -> str:
    """The first line of the explorer that is another, packed data by what is in it.

    Browsers split nothing at form feeds and forgive much in base64; so whatever is not the very
    line is a block of the same key, packed without anything before, between or behind.
    """
    for line in zip_longest(old.split(b"\n"), new.split(b"\n"), fillvalue=b""):
        if line[0] == line[1]:
            continue
        try:
            one, other = (packed(each) for each in line)
        except ValueError as error:
            return f"damaged: {error}"
        if one is None or other is None or one.key != other.key:
            texts = [_shown(each, found) for each, found in zip(line, (one, other), strict=True)]
            return _quoted("", *texts)
        told = _of_content(one, other)
        if told:
            return told
    return ""


def _of_content(one: Packed, other: Packed) -> str:
    wanted = other.content(at_most=None)
    try:
        content = one.content(at_most=len(wanted))
    except ValueError as error:
        return f"damaged: {one.key}: {error}"
    if content == wanted:
        return ""
    texts = [each.decode("utf-8", "backslashreplace") for each in (content, wanted)]
    return _quoted(f"{one.key:.60} ", *texts)


def _shown(line: bytes, block: Packed | None) -> str:
    return f"block {block.key}" if block else line.decode("utf-8", "backslashreplace")


def _quoted(place: str, old: str, new: str) -> str:
    """Two lines from a little before where they part."""
    pairs = enumerate(zip(old, new, strict=False))
    parted = next((at for at, (one, two) in pairs if one != two), min(len(old), len(new)))
    start = max(0, parted - QUOTED // 3)
    cut = "..." if start else ""
    old, new = (f"{cut}{line[start : start + QUOTED]}" for line in (old, new))
    return f"{place}is {old!r}, but {new!r} follows"
