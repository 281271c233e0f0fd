"""A prompt shortened for reading: its needles, their surroundings and the question."""

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from needlework.errors import RecordError
from needlework.records import PlacedDetail, Sample, Span

HEAD, CONTEXT = 120, 70
"""Characters kept at the start of a prompt, and on either side of a needle."""
LEAST_FOLD = 80
"""Shorter stretches are not worth folding."""
QUESTION = 1500
"""Characters kept of the question; it may carry documents or an example."""
MOST_NEEDLES = 8
SPACE = re.compile(r"\s")
LETTER = r"[^\W\d_]"
LONGEST_WORD = 30
"""Characters that a cut may move to fall between words."""

Kind = Literal["hay", "fold", "needle", "other", "question"]
Piece = tuple[Kind, str] | tuple[Kind, int] | tuple[Kind, str, float, int, int]
"""Text of a kind; `fold`: how many characters are left out; needles: with depth in percent, the
position of their first token, and how often the haystack holds them from there on."""


def mask(pieces: Sequence[Piece], outputs: Sequence[str]) -> list[Piece]:
    """The pieces with a dot for every letter, but for the references: where a page is passed on
    and the texts may not be."""
    kept = re.compile("|".join([*map(re.escape, outputs), LETTER]), re.IGNORECASE)

    def hide(text: str) -> str:
        return kept.sub(lambda found: found[0] if len(found[0]) > 1 else "\u00b7", text)

    return [
        piece if isinstance(piece[1], int) else (piece[0], hide(piece[1]), *piece[2:])
        for piece in pieces
    ]


def fold(sample: Sample, detail: PlacedDetail) -> list[Piece]:
    """The pieces of a prompt in order.

    Raises:
        RecordError: needles or question lie outside the prompt.
    """
    text, end = sample.input, detail.question_start
    if end > len(text) or any(span.end > len(text) for span in detail.needles):
        raise RecordError(
            f"sample {sample.index}: its details refer to {end} characters, but the prompt has "
            f"{len(text)}; make dataset and details again"
        )
    pieces: list[Piece] = []
    place = 0
    for span, depth, is_answer, token in _shown(detail):
        if span.start >= place and span.end <= end:
            pieces += _hay(text[place : span.start], head=CONTEXT if place else HEAD, tail=CONTEXT)
            kind: Kind = "needle" if is_answer else "other"
            needle = text[span.start : span.end]
            often = _occurrences(needle, text[span.start : end])
            pieces.append((kind, needle, round(depth, 1), token, often))
            place = span.end
    pieces += _hay(text[place:end], head=CONTEXT if place else HEAD, tail=CONTEXT)
    return pieces + list(_cut("question", text[end:], head=QUESTION // 2, tail=QUESTION // 2))


def _shown(detail: PlacedDetail) -> Sequence[tuple[Span, float, bool, int]]:
    """The needles worth showing, in text order: those with an answer first of all."""
    tokens = [span.start for span in detail.needle_tokens]
    needles = list(zip(detail.needles, detail.depths, detail.answers, tokens, strict=True))
    chosen = sorted(needles, key=lambda needle: not needle[2])[:MOST_NEEDLES]
    return sorted(chosen, key=lambda needle: needle[0].start)


def _hay(text: str, *, head: int, tail: int) -> Iterator[Piece]:
    return _cut("hay", text, head=head, tail=tail)


def _occurrences(needle: str, text: str) -> int:
    """How often a text holds the needle, which it starts with, as words of its own."""
    if text.count(needle) == 1:
        return 1
    return len(re.findall(rf"(?<!\w){re.escape(needle)}(?!\w)", text))


def _cut(kind: Kind, text: str, *, head: int, tail: int) -> Iterator[Piece]:
    """Both ends of a text and how much lies between, or all of it when that is hardly more."""
    if len(text) - head - tail < LEAST_FOLD:
        if text:
            yield kind, text
        return
    first, last = _word_end(text, head), _word_start(text, len(text) - tail)
    yield kind, text[:first]
    yield "fold", last - first
    yield kind, text[last:]


def _word_end(text: str, most: int) -> int:
    """Where the last word ends that `most` characters hold; `most` in the midst of a long one."""
    spaces = [match.start() for match in SPACE.finditer(text, most - LONGEST_WORD, most + 1)]
    return spaces[-1] if spaces else most


def _word_start(text: str, least: int) -> int:
    """Where the first word starts from `least` on; `least` in the midst of a long one."""
    space = SPACE.search(text, least - 1, least + LONGEST_WORD)
    return space.end() if space else least
