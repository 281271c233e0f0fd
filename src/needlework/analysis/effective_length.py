"""How far a model reads: the longest context at which its score is still good enough."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from needlework.statistics.contrasts import Interval, contrast, interval, ratio
from needlework.statistics.means import Estimate

RULER_THRESHOLD = 0.856
"""RULER's bar for an effective length: the score of Llama-2-7B at 4K (arXiv:2404.06654)."""
OWN_SHARE = 0.85
"""The share of a model's score at the shortest length that it must keep."""


class EffectiveLength(NamedTuple):
    """A length in tokens with its 95 % interval; None: even the shortest length falls short."""

    length: int | None
    """At the mean."""
    low: int | None
    """Where the lower limit still stays above the bar: the length one can vouch for."""
    high: int | None
    """Where the upper limit does."""


def above_threshold(
    scores: Mapping[int, Estimate], *, threshold: float = RULER_THRESHOLD
) -> EffectiveLength:
    """The longest length up to which every score reaches the threshold.

    Raises:
        ValueError: there are no lengths.
    """
    return _longest({length: interval(score) for length, score in scores.items()}, bar=threshold)


def above_own_share(scores: Mapping[int, Estimate], *, share: float = OWN_SHARE) -> EffectiveLength:
    """The longest length up to which every score keeps a share of the one at the shortest length.

    Raises:
        ValueError: there are no lengths.
    """
    shortest = interval(scores[min(scores)])
    margins = {
        length: contrast((1, -share), (interval(score), shortest))
        for length, score in scores.items()
    }
    if shortest.value == 0:
        return EffectiveLength(None, None, None)
    return _longest(margins | {min(scores): Interval(1, 1, 1)}, bar=0)


def retention(scores: Mapping[int, Estimate], *, trained: int, times: int) -> Interval | None:
    """The score at `times` the trained length over the one at it; None where one is not measured.

    None as well where the score at the trained length is 0.
    """
    if trained not in scores or trained * times not in scores or scores[trained].mean == 0:
        return None
    return ratio(interval(scores[trained * times]), interval(scores[trained]))


def _longest(margins: Mapping[int, Interval], *, bar: float) -> EffectiveLength:
    if not margins:
        raise ValueError("no lengths; was every cell scored?")

    def reach(limit: Callable[[Interval], float]) -> int | None:
        longest = None
        for length in sorted(margins):
            if limit(margins[length]) < bar:
                return longest
            longest = length
        return longest

    return EffectiveLength(
        length=reach(lambda margin: margin.value),
        low=reach(lambda margin: margin.low),
        high=reach(lambda margin: margin.high),
    )
