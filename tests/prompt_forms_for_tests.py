"""The form of a prompt: its text with everything blanked that differs from sample to sample.

Works on texts alone, so prompts of any generator of RULER's can be compared. Texts of RULER are
taken from the fetched prompts, never written here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from needlework.tasks.prompts import Frame, Wording
from needlework.tasks.specs import NiahSpec, Spec

KEY, VALUE = "<key>", "<value>"
_NEEDLE, _HAY = "\x00", "\x01"
_DRAWN = (
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"\b\d{7}\b"), "<number>"),
    (re.compile(r"\b\d{5}\b"), "<held>"),
    (re.compile(r"\b[A-Z]{5}\b"), "<name>"),
    (re.compile(r"\b(?!VAR\b)[A-Z]{3}\b"), "<short name>"),
    (re.compile(r"\d+\. [^\n]*"), "<list>"),
    (re.compile(r"(?<=Document )\d+(?=:\n)"), "<place>"),
)
"""Everything that is drawn, by its form; a numbered list fills the rest of its line."""
_KEYS = re.compile(r"(magic \w+ for )(.+?)(?= is: | mentioned)")
_ONE_KEY = re.compile(r"(^|, and |, )[^,]+?(?=, |$)")


@dataclass(frozen=True)
class Form:
    """What is the same in every sample of a task."""

    opening: str
    """Wrapper and solved example."""
    head: str
    needles: frozenset[str]
    seams: frozenset[str]
    """White space after a needle (0) or hay (1), before whatever follows."""
    edges: tuple[str, str]
    """White space before the first and after the last of them."""
    ending: str
    """Question, wrapper and answer prefix."""


def frame_of(wording: Wording, spec: Spec) -> Frame:
    """The words around the haystack of a task."""
    if isinstance(spec, NiahSpec):
        several = spec.queries * spec.values > 1
        return wording.many_needles if several else wording.one_needle
    frames = {
        "variable_tracking": wording.tracking,
        "common_words": wording.common.fill(count="10"),
        "frequent_words": wording.frequent,
        "qa": wording.documents,
    }
    return frames[spec.generator]


@dataclass(frozen=True)
class Parts:
    """A prompt, cut where its haystack begins and ends."""

    opening: str
    head: str
    body: str
    ending: str


def cut(text: str, frame: Frame) -> Parts:
    """The parts of a prompt, found by the fixed texts on both sides of its haystack."""
    start_of_head, end_of_head = frame.head.partition("{")[0], frame.head.rpartition("}")[2]
    end = text.rindex(frame.question.partition("{")[0])
    start = text.rindex(end_of_head, 0, end) + len(end_of_head)
    head = text.rindex(start_of_head, 0, start)
    return Parts(text[:head], text[head:start], text[start:end], text[end:])


def form(text: str, spec: Spec, wording: Wording, noise: str) -> Form:
    """The form of one prompt."""
    parts = cut(text, frame_of(wording, spec))
    body = _marked(parts.body, spec, wording, noise)
    return Form(
        opening=_example(parts.opening, spec, wording, noise),
        head=blanked(parts.head),
        needles=frozenset(_needles(wording, spec).findall(blanked(parts.body))),
        seams=_seams(body),
        edges=(body[: len(body) - len(body.lstrip())], body[len(body.rstrip()) :]),
        ending=_without_question(blanked(parts.ending), spec),
    )


def merged(forms: Sequence[Form]) -> Form:
    """The form of several samples, which may not contradict one another.

    Where a needle lies differs from sample to sample, so seams are those of all samples together.
    """
    first = forms[0]
    assert {(each.opening, each.head, each.ending) for each in forms} == {
        (first.opening, first.head, first.ending)
    }
    return Form(
        opening=first.opening,
        head=first.head,
        needles=frozenset().union(*(each.needles for each in forms)),
        seams=frozenset().union(*(each.seams for each in forms)),
        edges=first.edges,
        ending=first.ending,
    )


def blanked(text: str) -> str:
    """A text without anything drawn."""
    text = _KEYS.sub(lambda found: found[1] + _ONE_KEY.sub(rf"\1{KEY}", found[2]), text)
    for pattern, blank in _DRAWN:
        text = pattern.sub(blank, text)
    return text


def _without_question(text: str, spec: Spec) -> str:
    if spec.generator != "qa":
        return text
    return re.sub(r"(?<=Question: ).*?(?= Answer:|\n\n###)", "<question>", text, flags=re.DOTALL)


def _needles(wording: Wording, spec: Spec) -> re.Pattern[str]:
    """What a blanked needle looks like."""
    if isinstance(spec, NiahSpec):
        text = re.escape(wording.needle.format(nouns="NOUNS", key=KEY, value=VALUE))
        return re.compile(text.replace("NOUNS", r"\w+").replace(re.escape(VALUE), r"<\w+>"))
    if spec.generator == "variable_tracking":
        return re.compile(r"VAR <[a-z ]+> = (?:VAR )?<[a-z ]+>")
    if spec.generator == "qa":
        return re.compile(r"Document <place>:\n")
    return re.compile("<list>")


def _marked(body: str, spec: Spec, wording: Wording, noise: str) -> str:
    """A haystack in which needles and hay are marks with white space between them."""
    if spec.generator == "frequent_words":
        return re.sub(r"\S+", _HAY, body)
    marked = _needles(wording, spec).sub(_NEEDLE, blanked(body)).replace(noise, _HAY)
    rest = rf"[^\s{_NEEDLE}{_HAY}](?:[^{_NEEDLE}{_HAY}]*[^\s{_NEEDLE}{_HAY}])?"
    return re.sub(rest, _HAY, marked)


def _seams(body: str) -> frozenset[str]:
    found = re.findall(rf"([{_NEEDLE}{_HAY}]\s*)(?=[{_NEEDLE}{_HAY}])", body)
    return frozenset(seam.replace(_NEEDLE, "0").replace(_HAY, "1") for seam in found)


def _example(opening: str, spec: Spec, wording: Wording, noise: str) -> str:
    """An opening, with the haystack of its example as the white space that it has in it."""
    text = blanked(opening)
    if spec.generator != "variable_tracking":
        return text
    unit = rf"(?:{_needles(wording, spec).pattern}|{re.escape(noise)})"
    found = list(re.finditer(unit, text))
    if not found:
        return text
    start, end = found[0].start(), found[-1].end()
    seams = sorted(_seams(_marked(text[start:end], spec, wording, noise)))
    return f"{text[:start]}{seams}{text[end:]}"
