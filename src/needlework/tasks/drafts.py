"""How a prompt is put together from hay, needles and the words around them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from needlework.records import Span
from needlework.tasks.material import Material
from needlework.tasks.prompts import Frame


@dataclass(frozen=True)
class Insert:
    """A needle and how many units of hay lie before it."""

    position: int
    text: str
    answer: bool


@dataclass(frozen=True)
class Needle:
    """Where a needle came to lie: characters, and percent of the hay before it."""

    start: int
    end: int
    depth: float
    answer: bool


@dataclass(frozen=True)
class Body:
    """Hay with needles."""

    text: str
    needles: tuple[Needle, ...]


@dataclass(frozen=True)
class Draft:
    """A whole prompt of one size, with what is known about it."""

    text: str
    needles: tuple[Needle, ...]
    question_start: int
    outputs: tuple[str, ...]
    completion: str
    """What a perfect model would write next; never written to a file."""
    others: tuple[str, ...] = ()
    """The values of needles that are not asked for."""


@dataclass(frozen=True)
class Outline:
    """Everything about a sample that does not depend on the size of its haystack."""

    compose: Callable[[int], Draft]
    most: int
    """The largest size there is material for."""
    choices: int = 1
    """How many different questions an item may ask, of which some may be too long by themselves."""


def scatter(fractions: Sequence[float], units: int) -> list[int]:
    """A position among `units` units of hay for every fraction in [0, 1)."""
    return [int(fraction * (units + 1)) for fraction in fractions]


def at_depth(percent: int, units: int) -> int:
    """The position whose depth is nearest to `percent`."""
    return (2 * units * percent + 100) // 200


def weave(units: Sequence[str], inserts: Sequence[Insert], *, separator: str) -> Body:
    """Hay and needles in order; needles of the same position keep theirs."""
    pieces: list[str] = []
    needles: list[Needle] = []
    start = cursor = 0
    for insert in sorted(inserts, key=lambda insert: insert.position):
        if insert.position > cursor:
            pieces.append(separator.join(units[cursor : insert.position]))
            start += len(pieces[-1]) + len(separator)
            cursor = insert.position
        depth = 100 * cursor / len(units) if units else 0.0
        end = start + len(insert.text.rstrip())
        needles.append(Needle(start, end, depth, insert.answer))
        pieces.append(insert.text)
        start += len(insert.text) + len(separator)
    if cursor < len(units):
        pieces.append(separator.join(units[cursor:]))
    return Body(separator.join(pieces), tuple(needles))


def finish(
    material: Material,
    frame: Frame,
    body: Body,
    *,
    outputs: Sequence[str],
    completion: str,
    example: str = "",
    others: Sequence[str] = (),
) -> Draft:
    """The prompt around a body: wrapper, solved example, head, body, question, answer prefix.

    White space at the seam of wrapper and answer prefix stands there once.
    """
    lead = material.wrapper.before + example + frame.head
    haystack_end = len(lead) + len(body.text)
    needles = tuple(
        Needle(needle.start + len(lead), needle.end + len(lead), needle.depth, needle.answer)
        for needle in body.needles
    )
    after, prefix = material.wrapper.after, frame.prefix
    if prefix.startswith("\n"):
        after = after.removesuffix("\n")
    if after[-1:].isspace():
        prefix = prefix.removeprefix(" ")
    text = lead + body.text + frame.question + after + prefix
    if material.wrapper.thinks:
        asked = frame.question + frame.prefix.rstrip()
        text = lead + body.text + asked + material.wrapper.after
    return Draft(text, needles, haystack_end, tuple(outputs), completion, tuple(others))


def solved(frame: Frame, body: Body, completion: str) -> str:
    """A small task with its answer, to be shown before the real one."""
    return frame.head + body.text + frame.question + frame.prefix + completion + frame.gap


def spans(needles: Sequence[Needle]) -> tuple[Span, ...]:
    """The characters of every needle, as they are written to a file."""
    return tuple(Span(start=needle.start, end=needle.end) for needle in needles)
