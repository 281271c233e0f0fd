"""What a wrong answer is: told by rule from the answer, its references and the prompt alone.

Rules are asked in order and the first that holds decides, so every answer is of one kind.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal, NamedTuple, get_args

from needlework.records import PlacedDetail, Sample, Span
from needlework.tasks.metrics import clean

Kind = Literal[
    "right",
    "partly right",
    "another needle",
    "elsewhere",
    "near miss",
    "invented",
    "no value",
    "repetition",
    "refusal or empty",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""In the order in which tables and figures show them."""
VALUES: tuple[Kind, ...] = ("another needle", "elsewhere", "near miss", "invented")
"""Wrong answers that hold a value."""

NEAR = 4
"""A near miss differs from a reference in at most one character of so many."""
PART = 4
"""A value is one from a quarter of the shortest reference on; what is shorter is no value."""
REPEATS = 3
"""A text repeats itself when the same words come so often in a row, over half of it or more."""
LONGEST = 256
"""Words in which repetition is looked for."""
MOST = 100
"""So many different values of an answer are looked at, and as many references."""
LONGEST_NEAR = 64
"""Characters of a reference beyond which only what breaks off is a near miss of it."""

_FORMS = (
    (re.compile(r"\d+"), r"\d+"),
    (re.compile(r"[0-9a-f]+(?:-[0-9a-f]+)+", re.IGNORECASE), r"[0-9a-f]+(?:-[0-9a-f]+)+"),
    (re.compile(r"[a-z]\d(?: [a-z]\d)*"), r"[a-z]\d(?: [a-z]\d)*"),
    (re.compile(r"[A-Z]{2,}"), r"[A-Z]{2,}"),
)
"""What references look like that no other text does, and what else looks so: numbers, UUIDs, the
codes of the nano language, the variables of RULER."""
_WORD = re.compile(r"[^\W\d_]{3,}")
_SENTENCE = re.compile(r"\n|(?<=[.?!]) |(?<= )[.?!] ")
_REFUSAL = re.compile(
    r"\b(?:i(?:'m| am) (?:sorry|unable|not able)|i (?:can(?:not|'t| not)|do(?:n't| not)|could not)"
    r"|as an ai|(?:does(?:n't| not)|not|no) (?:contain|mention|provide|specif|information|found)"
    r"|unable to|apologi[sz]e)",
    re.IGNORECASE,
)


class Prompt(NamedTuple):
    """What the rules know of a prompt: its parts as text, in lower case."""

    question: str
    others: str
    """The needles that hold no part of the answer; all of the hay where it is made of needles."""
    hay: str
    """All before the question but the needles with the answer."""


def prompt_of(sample: Sample, detail: PlacedDetail, *, hay_is_needles: bool) -> Prompt:
    """The parts of a prompt; `hay_is_needles` where it hides needles among others of their kind."""
    text = sample.input[: detail.question_start]
    needles = list(zip(detail.needles, detail.answers, strict=True))
    answers = list(_disjoint(span for span, answers in needles if answers))
    starts = [0, *(span.end for span in answers)]
    ends = [*(span.start for span in answers), len(text)]
    hay = "\n".join(text[start:end] for start, end in zip(starts, ends, strict=True)).lower()
    spans = _disjoint(span for span, answers in needles if not answers)
    others = "\n".join(text[span.start : span.end] for span in spans).lower()
    question = sample.input[detail.question_start :].lower()
    return Prompt(question, hay if hay_is_needles else others, hay)


def _disjoint(spans: Iterable[Span]) -> Iterator[Span]:
    """The same places in text order, each character once."""
    place = 0
    for span in sorted(spans, key=lambda span: span.start):
        start = max(place, span.start)
        if start < span.end:
            yield Span(start=start, end=span.end)
            place = span.end


def graded(score: float | None) -> Kind | None:
    """What an answer is by its score alone; None of a wrong one, or one that failed."""
    if not score:
        return None
    return "right" if score == 1 else "partly right"


def wrong_kind(pred: str, references: Sequence[str], prompt: Prompt) -> Kind:
    """What a wrong answer is.

    Values are looked for in the form of the references (a number, a UUID, a code, a variable).
    References in plain words have no form of their own: there the words of the first sentence count
    that the question does not hold.
    """
    answer = clean(pred)
    references = references[:MOST]
    values = _different(_formed(answer, references, prompt.question))
    if not values:
        if not answer or _REFUSAL.search(answer):
            return "refusal or empty"
        if repeats(answer):
            return "repetition"
        values = _different(_worded(answer, references, prompt.question))
    return _of_values(values, references, prompt, is_repeated=repeats(answer))


def _of_values(
    values: Sequence[str], references: Sequence[str], prompt: Prompt, *, is_repeated: bool
) -> Kind:
    """What an answer is by the values in it."""
    if not values:
        return "no value"
    if any(_holds(prompt.others, value) for value in values):
        return "another needle"
    if any(_holds(prompt.hay, value) for value in values):
        return "elsewhere"
    if any(is_near(value, each.lower()) for value in values for each in references):
        return "near miss"
    return "repetition" if is_repeated else "invented"


def _different(values: Iterable[str]) -> list[str]:
    """The first of the values, each once."""
    return list(islice(dict.fromkeys(values), MOST))


def _formed(answer: str, references: Sequence[str], question: str) -> Iterator[str]:
    """The values of an answer in the form of its references, in lower case."""
    for known, form in _FORMS:
        alike = [each for each in references if known.fullmatch(each)]
        if not alike:
            continue
        shortest = min(map(len, alike))
        for found in re.finditer(rf"(?<![\w-])(?:{form})(?![\w-])", answer, known.flags):
            value = found[0].lower()
            if PART * len(value) >= shortest and not _holds(question, value):
                yield value


def _worded(answer: str, references: Sequence[str], question: str) -> list[str]:
    """The words of the first sentence that the question lacks, where references are words."""
    if any(known.fullmatch(each) for known, _ in _FORMS for each in references):
        return []
    first = _SENTENCE.split(answer, maxsplit=1)[0].lower()
    asked = set(_WORD.findall(question))
    return [word for word in _WORD.findall(first) if word not in asked]


def _holds(text: str, value: str) -> bool:
    """Whether a text holds a value as words of its own."""
    return value in text and bool(re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text))


def is_near(value: str, reference: str) -> bool:
    """Whether a value is a reference with few characters changed, or broken off after a quarter."""
    if PART * len(value) >= len(reference) > len(value) and reference.startswith(value):
        return True
    most = len(reference) // NEAR if len(reference) <= LONGEST_NEAR else 0
    return abs(len(value) - len(reference)) <= most and edits(value, reference) <= most


def edits(first: str, second: str) -> int:
    """How many characters must be put in, left out or changed to make one text of the other
    (Levenshtein 1966)."""
    row = list(range(len(second) + 1))
    for count, letter in enumerate(first, start=1):
        before, row[0] = row[0], count
        for place, other in enumerate(second, start=1):
            changed = before + (letter != other)
            before = row[place]
            row[place] = min(row[place] + 1, row[place - 1] + 1, changed)
    return row[-1]


def repeats(text: str) -> bool:
    """Whether a text says the same words again and again, over half of it or more."""
    words = text.split()[:LONGEST]
    for size in range(1, len(words) // REPEATS + 1):
        run = longest = 0
        for word, later in zip(words, words[size:], strict=False):
            run = run + 1 if word == later else 0
            longest = max(longest, run)
        same = longest + size
        if longest >= (REPEATS - 1) * size and 2 * same >= len(words):
            return True
    return False
