"""What an answer is worth: RULER's own scoring, one number between 0 and 1 for every sample.

Knows texts and references; does not know models, files or means. The engine asks `is_decided`
whether writing on can still change a score.
"""

import re
from collections.abc import Sequence
from typing import Literal

Metric = Literal["all", "any"]
"""`all`: the share of references found (RULER's string_match_all); `any`: 1 as soon as one is found
(string_match_part, for questions whose references are spellings of one answer)."""

CONTROL = re.compile(r"[\x00-\x1f]")


def metric_of(generator: str) -> Metric:
    """How the answers of a task generator are scored."""
    return "any" if generator == "qa" else "all"


def clean(text: str) -> str:
    """A prediction as RULER reads it: stripped, with control characters as newlines."""
    return CONTROL.sub("\n", text.strip()).strip()


def score(pred: str, outputs: Sequence[str], *, metric: Metric) -> float:
    """The score of one prediction, 0 to 1: references contained in it, ignoring case."""
    text = clean(pred).lower()
    found = [reference.lower() in text for reference in outputs]
    return float(any(found)) if metric == "any" else sum(found) / len(found)


def is_decided(pred: str, outputs: Sequence[str], *, metric: Metric) -> bool:
    """Whether the score is already 1, so that nothing written later can change it.

    A trailing partial character cannot undo this: containment only grows as text is appended.
    """
    return score(pred, outputs, metric=metric) == 1.0
