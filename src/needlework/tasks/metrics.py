"""What an answer is worth: one number between 0 and 1 for every sample, as RULER or SQuAD score.

The engine asks `is_decided` whether writing on can still change a score.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Literal

Metric = Literal["all", "any", "exact", "f1"]
"""`all`: the share of references found (RULER's string_match_all); `any`: 1 as soon as one is found
(string_match_part, for questions whose references are spellings of one answer); `exact`: 1 when the
whole answer is a reference, `f1`: how many words it shares with the best one, both in the words of
`plain_words` (SQuAD, Rajpurkar et al., arXiv:1606.05250)."""

CONTROL = re.compile(r"[\x00-\x1f]")
ARTICLES = frozenset({"a", "an", "the"})
UNPUNCTUATED = str.maketrans("", "", string.punctuation)


def clean(text: str) -> str:
    """A prediction as RULER reads it: stripped, with control characters as newlines."""
    return CONTROL.sub("\n", text.strip()).strip()


def score(pred: str, outputs: Sequence[str], *, metric: Metric) -> float:
    """The score of one prediction, 0 to 1: references contained in it, or equal, ignoring case."""
    if metric in ("exact", "f1"):
        words = plain_words(clean(pred))
        worth = _f1 if metric == "f1" else _exact
        return max(worth(words, plain_words(reference)) for reference in outputs)
    text = clean(pred).lower()
    found = [reference.lower() in text for reference in outputs]
    return float(any(found)) if metric == "any" else sum(found) / len(found)


def is_decided(pred: str, outputs: Sequence[str], *, metric: Metric) -> bool:
    """Whether the score is already 1, so that nothing written later can change it.

    A trailing partial character cannot undo this: containment only grows as text is appended. What
    looks at the whole answer is never decided before its end.
    """
    return metric in ("all", "any") and score(pred, outputs, metric=metric) == 1.0


def plain_words(text: str) -> list[str]:
    """The words of a text as SQuAD compares them: lower case, no punctuation, no articles."""
    words = text.lower().translate(UNPUNCTUATED).split()
    return [word for word in words if word not in ARTICLES]


def _exact(found: list[str], wanted: list[str]) -> float:
    return float(found == wanted)


def _f1(found: list[str], wanted: list[str]) -> float:
    """The harmonic mean of precision and recall over words, each as often as it comes."""
    shared = (Counter(found) & Counter(wanted)).total()
    return 2 * shared / (len(found) + len(wanted)) if shared else 0.0
