"""How far a model reads reliably: what it keeps of its own score as texts get longer, and where
that can be told.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from needlework.analysis.effective_length import OWN_SHARE
from needlework.statistics.contrasts import Interval, interval, ratio
from needlework.statistics.means import Estimate, macro_mean, wilson

MOST_SAMPLES = 100_000
"""Samples per task and length that a study may have."""

Verdict = Literal["keeps", "loses", "cannot be told"]


class Kept(NamedTuple):
    """What is left at one length of the score at the shortest."""

    length: int
    score: Estimate
    share: Interval

    @property
    def verdict(self) -> Verdict:
        """Whether it is enough, by the 95 % interval of the share."""
        return told(self.share)


class Reading(NamedTuple):
    """What a model keeps at every length, and how far it reads."""

    kept: tuple[Kept, ...]
    """By length, ascending; the shortest keeps all of itself."""
    reliable: int
    """The length up to which it keeps enough everywhere, by the lower limits."""
    beyond: Kept | None
    """The first length at which it does not, or cannot be said to; None: there is none."""


def told(share: Interval) -> Verdict:
    """On which side of the bar a share is with its whole interval."""
    if share.low >= OWN_SHARE:
        return "keeps"
    return "loses" if share.high < OWN_SHARE else "cannot be told"


def read(scores: Mapping[int, Estimate]) -> Reading | None:
    """How far a model with these scores by length reads; None where the shortest has no score.

    It *reads reliably* to the longest length for which at it, and at every measured length below,
    the lower 95 % limit of the share of its score at the shortest is at least `OWN_SHARE`.

    Raises:
        ValueError: there are no lengths.
    """
    shortest = min(scores)
    if scores[shortest].mean == 0:
        return None
    whole = interval(scores[shortest])
    kept = [
        Kept(each, score, Interval(1, 1, 1) if each == shortest else ratio(interval(score), whole))
        for each, score in sorted(scores.items())
    ]
    reliable = shortest
    for each in kept:
        if each.verdict != "keeps":
            return Reading(tuple(kept), reliable, each)
        reliable = each.length
    return Reading(tuple(kept), reliable, None)


def enough_samples(
    part: Sequence[float], whole: Sequence[float], *, samples: int, independent: bool
) -> int | None:
    """Samples per task and length with which it could be told whether a model keeps enough.

    `part` and `whole` are the means of its tasks at a length and at the shortest, which are taken
    as they are; `independent` says whether tasks ask different questions. None: not with
    `MOST_SAMPLES` either, for the share lies too near to the bar. Found by bisection, which is
    right because intervals shrink as samples are added.
    """

    def mean_of(means: Sequence[float], count: int) -> Interval:
        parts = [wilson(mean, count=count) for mean in means]
        return interval(macro_mean(parts, independent=independent))

    def is_told(count: int) -> bool:
        return told(ratio(mean_of(part, count), mean_of(whole, count))) != "cannot be told"

    if not is_told(MOST_SAMPLES):
        return None
    low, high = samples, MOST_SAMPLES
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_told(middle) else (middle, high)
    return high
