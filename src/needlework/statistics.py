"""Means that travel with their interval, their count and their failures.

Knows scores between 0 and 1; does not know models, tables or files. Every interval is at 95 %.
"""

from collections.abc import Sequence
from math import hypot, sqrt

from pydantic import Field, model_validator

from needlework.records import Closed

Z95 = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


class Estimate(Closed):
    """A mean score in [0, 1] with its 95 % interval and what it rests on."""

    mean: float = Field(ge=0, le=1)
    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)
    count: int = Field(ge=1)
    """Samples behind the mean, failed ones included."""
    failed: int = Field(ge=0)
    """Samples without an answer; they score zero."""

    @model_validator(mode="after")
    def _ordered(self) -> "Estimate":
        if not (self.low <= self.mean <= self.high and self.failed <= self.count):
            raise ValueError(f"not an estimate: {self.low}, {self.mean}, {self.high}")
        return self


def estimate(scores: Sequence[float | None]) -> Estimate:
    """Mean with a Wilson interval; a failed sample (None) scores zero.

    Scores between 0 and 1 vary less than coin flips of the same mean, so the interval is safe for
    partial credit too, and it keeps a width at 0 and at 1, where a bootstrap collapses.

    Raises:
        ValueError: there is no score; an empty cell has no mean.
    """
    count = len(scores)
    if count == 0:
        raise ValueError("an empty cell has no mean; was every sample predicted?")
    mean = min(1.0, sum(score or 0.0 for score in scores) / count)
    return wilson(mean, count=count, failed=sum(score is None for score in scores))


def wilson(mean: float, *, count: int, failed: int = 0) -> Estimate:
    """A mean of `count` scores with Wilson's interval (1927)."""
    shrink = 1 + Z95**2 / count
    centre = (mean + Z95**2 / (2 * count)) / shrink
    reach = Z95 * sqrt(mean * (1 - mean) / count + Z95**2 / (4 * count**2)) / shrink
    return Estimate(
        mean=mean,
        low=max(0.0, min(mean, centre - reach)),
        high=min(1.0, max(mean, centre + reach)),
        count=count,
        failed=failed,
    )


def macro_mean(parts: Sequence[Estimate], *, independent: bool) -> Estimate:
    """The unweighted mean of means, as RULER averages its tasks, with their uncertainty.

    Independent parts (different tasks): the distances to the limits add in quadrature (MOVER, Zou
    and Donner 2008). Dependent parts (the same needles at several depths or lengths, or in several
    formats): they add plainly, which covers any correlation.

    Raises:
        ValueError: there is no part.
    """
    if not parts:
        raise ValueError("no estimates to average; was every cell scored?")
    mean = min(1.0, sum(part.mean for part in parts) / len(parts))
    combine = hypot if independent else _total
    below = combine(*(part.mean - part.low for part in parts)) / len(parts)
    above = combine(*(part.high - part.mean for part in parts)) / len(parts)
    return Estimate(
        mean=mean,
        low=max(0.0, mean - below),
        high=min(1.0, mean + above),
        count=sum(part.count for part in parts),
        failed=sum(part.failed for part in parts),
    )


def _total(*distances: float) -> float:
    return sum(distances)
