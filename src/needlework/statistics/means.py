"""Means that travel with their interval, their count and their failures.

Every interval is at 95 %.
"""

from collections.abc import Sequence
from math import sqrt

from pydantic import Field, model_validator

from needlework.parsing import Closed

Z95 = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""
BORROWED = 2.0
"""Samples of the common mean that each task borrows before its variance is estimated."""


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
    mean = sum(score or 0.0 for score in scores) / count
    return wilson(mean, count=count, failed=sum(score is None for score in scores))


def wilson(mean: float, *, count: int, failed: int = 0) -> Estimate:
    """A mean of `count` scores with Wilson's interval (1927)."""
    return wilson_of(mean, worth=count, count=count, failed=failed)


def wilson_of(mean: float, *, worth: float, count: int, failed: int = 0) -> Estimate:
    """A mean of `count` scores that vary as much as `worth` independent ones."""
    low, high = _wilson_limits(mean, worth)
    return Estimate(mean=mean, low=low, high=high, count=count, failed=failed)


def macro_mean(parts: Sequence[Estimate], *, independent: bool) -> Estimate:
    """The unweighted mean of means, as RULER averages its tasks, with their uncertainty.

    Independent parts are cells (different tasks): Wilson's interval for the number of samples whose
    mean would vary as much (the effective sample size of Korn and Graubard 1998). The
    tasks' own intervals added in quadrature hold the truth too rarely where all tasks lie near 0 or
    1 (tests/laws/test_statistics.py and its bite).
    Dependent parts (the same needles at several depths or lengths, or in several formats): the
    distances to the limits add plainly, which covers any correlation; independence is never wider.

    Raises:
        ValueError: there is no part.
    """
    if not parts:
        raise ValueError("no estimates to average; was every cell scored?")
    mean = sum(part.mean for part in parts) / len(parts)
    low = max(0.0, mean - sum(part.mean - part.low for part in parts) / len(parts))
    high = min(1.0, mean + sum(part.high - part.mean for part in parts) / len(parts))
    if independent:
        limits = _wilson_limits(mean, _effective_count(parts))
        low, high = max(low, limits[0]), min(high, limits[1])
    return Estimate(
        mean=mean,
        low=min(mean, low),
        high=max(mean, high),
        count=sum(part.count for part in parts),
        failed=sum(part.failed for part in parts),
    )


def _wilson_limits(mean: float, count: float) -> tuple[float, float]:
    shrink = 1 + Z95**2 / count
    centre = (mean + Z95**2 / (2 * count)) / shrink
    reach = Z95 * sqrt(mean * (1 - mean) / count + Z95**2 / (4 * count**2)) / shrink
    return max(0.0, min(mean, centre - reach)), min(1.0, max(mean, centre + reach))


def _effective_count(parts: Sequence[Estimate]) -> float:
    """How many samples of one coin have a mean that varies as much as the mean of these means.

    A task that answers everything seems not to vary at all. So each borrows a few samples of the
    mean over all tasks, which itself borrows two right and two wrong ones.
    """
    total = sum(part.count for part in parts)
    common = (sum(part.mean * part.count for part in parts) + 2) / (total + 4)
    means = [
        (part.mean * part.count + BORROWED * common) / (part.count + BORROWED) for part in parts
    ]
    variance = (
        sum(mean * (1 - mean) / part.count for mean, part in zip(means, parts, strict=True))
        / len(parts) ** 2
    )
    average = sum(means) / len(means)
    return average * (1 - average) / variance
