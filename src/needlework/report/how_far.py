"""How far models read, in sentences: the opening of a report, and of what `measure` says."""

from collections.abc import Iterator, Sequence
from math import isinf
from typing import NamedTuple

from needlework.analysis.reading import Reading, read
from needlework.scores.estimates import Scores
from needlework.statistics.contrasts import Interval
from needlework.study.config import SuiteName
from needlework.study.grid import Grid
from needlework.study.shown import ShownModel


class HowFar(NamedTuple):
    """What is said of one model."""

    model: ShownModel
    sentence: str


def of_tasks(grid: Grid) -> list[str]:
    """The suites that ask more than needles at fixed depths: their mean says how far one reads."""
    suites = grid.suites.items()
    return [name for name, suite in suites if any(task.depth is None for task in suite.tasks)]


def how_far(scores: Scores, models: Sequence[ShownModel], suite: SuiteName) -> Iterator[HowFar]:
    """A sentence for every model that was measured at a suite's shortest length and at another."""
    asked = scores.suite(suite)
    names, shortest = asked.names(), min(asked.lengths)
    for model in models:
        lengths = scores.computed(model, suite)
        if len(lengths) > 1 and shortest in lengths:
            reading = read({each: scores.mean(model, suite, names, each) for each in lengths})
            yield HowFar(model, _sentence(model, reading, shortest))


def reliably(reading: Reading, trained: int) -> str:
    """To which length, and what that is of the one it was trained with."""
    at_least = "" if reading.beyond else "at least "
    of = (
        f"of its {trained:,} tokens"
        if reading.reliable <= trained
        else f"tokens, beyond the {trained:,} that it was trained with"
    )
    return f"reads reliably to {at_least}{reading.reliable:,} {of}"


def percent(share: Interval) -> str:
    """A share in percent with its interval."""
    high = "unlimited" if isinf(share.high) else f"{100 * share.high:.0f}"
    return f"{100 * share.value:.0f} % [{100 * share.low:.0f}, {high}]"


def _sentence(model: ShownModel, reading: Reading | None, shortest: int) -> str:
    if reading is None:
        return f"scores 0 at {shortest:,} tokens, so there is nothing that it could keep."
    told, beyond, longest = (
        reliably(reading, model.trained_length),
        reading.beyond,
        reading.kept[-1],
    )
    if beyond is not None:
        told += f"; at {beyond.length:,} it keeps {percent(beyond.share)}"
        if beyond.verdict == "cannot be told":
            told += ", too few samples to tell on which side of the bar"
    if beyond is None or beyond.length < longest.length:
        told += f"; at {longest.length:,} it keeps {percent(longest.share)}"
    return f"{told}."
