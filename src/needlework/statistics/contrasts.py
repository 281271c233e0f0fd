"""Differences, ratios and other combinations of estimates, each with its 95 % interval.

The intervals recover the variance of each part from its own limits (MOVER: Zou and Donner 2008,
doi:10.1002/sim.3095; ratios: Donner and Zou 2012, doi:10.1177/0962280210383082), so they stay right
near 0 and 100 %. Parts count as independent; where models or depths share their samples, the truth
is narrower.
"""

from collections.abc import Sequence
from math import inf, sqrt
from typing import NamedTuple, Protocol

from scipy.special import ndtri


class Limits(Protocol):
    """A value between two limits."""

    @property
    def low(self) -> float:
        """The lower limit."""

    @property
    def high(self) -> float:
        """The upper limit."""


class Interval(NamedTuple):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


class Mean(Limits, Protocol):
    """An estimate: a mean between two limits."""

    @property
    def mean(self) -> float:
        """The mean."""


def interval(estimate: Mean) -> Interval:
    """An estimate's mean and limits alone."""
    return Interval(estimate.mean, estimate.low, estimate.high)


def contrast(weights: Sequence[float], parts: Sequence[Interval]) -> Interval:
    """The weighted sum of independent parts.

    Raises:
        ValueError: weights and parts differ in number.
    """
    pairs = list(zip(weights, parts, strict=True))
    value = sum(weight * part.value for weight, part in pairs)
    below = sqrt(sum(_reach(weight, part) ** 2 for weight, part in pairs))
    above = sqrt(sum(_reach(-weight, part) ** 2 for weight, part in pairs))
    return Interval(value, value - below, value + above)


def difference(first: Interval, second: Interval) -> Interval:
    """First minus second."""
    return contrast((1, -1), (first, second))


def average(parts: Sequence[Interval]) -> Interval:
    """The unweighted mean of independent parts."""
    return contrast([1 / len(parts)] * len(parts), parts)


def ratio(part: Interval, whole: Interval) -> Interval:
    """Part over whole, both at least 0; without an upper limit where `whole` may be 0.

    Raises:
        ValueError: `whole` is 0, so that the ratio has no value.
    """
    if whole.value <= 0:
        raise ValueError("a share of nothing: the score that others are measured against is 0")
    return Interval(
        part.value / whole.value,
        _ratio_limit(part.value, part.low, whole.value, whole.high, sign=-1),
        inf
        if whole.low <= 0
        else _ratio_limit(part.value, part.high, whole.value, whole.low, sign=1),
    )


def widened(found: Interval, *, choices: int) -> Interval:
    """The interval of a value that was chosen from so many because it stands out.

    Bonferroni on the normal scale: at 1 - 0.05 / `choices` in place of 95 %.
    """
    factor = float(ndtri(1 - 0.025 / choices) / ndtri(0.975))
    below, above = found.value - found.low, found.high - found.value
    return Interval(found.value, found.value - factor * below, found.value + factor * above)


def _reach(weight: float, part: Interval) -> float:
    """How far one part can pull a weighted sum down."""
    limit = part.low if weight > 0 else part.high
    return weight * (part.value - limit)


def _ratio_limit(
    part: float, part_limit: float, whole: float, whole_limit: float, *, sign: int
) -> float:
    """Where the contrast part - ratio * whole just touches zero (Donner and Zou's equation 9).

    A `whole` so uncertain that the equation has no root leaves the lower limit at 0.
    """
    across = whole_limit * (2 * whole - whole_limit)
    if across <= 0:
        return 0.0
    along = part_limit * (2 * part - part_limit)
    inside = (part * whole) ** 2 - along * across
    return max(0.0, (part * whole + sign * sqrt(max(0.0, inside))) / across)
