"""Differences, ratios and other combinations of estimates, each with its 95 % interval.

Where parts were resampled together (`needlework.statistics.resampling`), so is what is made of
them, and what they share is accounted for. Of others only limits are known: the intervals recover
the variance of each part from its own (MOVER: Zou and Donner 2008, doi:10.1002/sim.3095; ratios:
Donner and Zou 2012, doi:10.1177/0962280210383082), so they stay right near 0 and 100 %, and parts
count as independent. Differences of parts that share their samples are then usually narrower in
truth, and averages of such parts wider.
"""

from collections.abc import Sequence
from math import inf, sqrt
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

ENDLESS, NEAR_ENDLESS = 1e200, 1e100
"""What stands for a resample without limit, and the number from which on a limit is none."""


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


class Resampled(Interval):
    """A value with the interval of its resamples, from which those of combinations are made."""

    draws: NDArray[np.float64]
    """The value in every resample; resample i of all values is of the same samples."""
    bounds: tuple[float, float]
    """What the value cannot be below or above."""

    @classmethod
    def of(
        cls,
        value: float,
        draws: NDArray[np.float64],
        bounds: tuple[float, float],
        *,
        choices: int = 1,
    ) -> "Resampled":
        """A value with the percentile interval of its resamples, at 1 - 0.05 / `choices`."""
        # Between two endless draws there is no number to interpolate.
        ends = np.clip(draws, -ENDLESS, ENDLESS)
        limits = np.quantile(ends, [0.025 / choices, 1 - 0.025 / choices])
        limits = np.where(np.abs(limits) < NEAR_ENDLESS, limits, np.copysign(inf, limits))
        low, high = np.clip(limits, *bounds).tolist()
        made = cls(value, min(value, low), max(value, high))
        made.draws, made.bounds = draws, bounds
        return made


class Mean(Limits, Protocol):
    """An estimate: a mean between two limits."""

    @property
    def mean(self) -> float:
        """The mean."""


def interval(estimate: Mean | Interval) -> Interval:
    """An estimate's mean and limits alone; an interval as it is."""
    if isinstance(estimate, Interval):
        return estimate
    return Interval(estimate.mean, estimate.low, estimate.high)


def contrast(weights: Sequence[float], parts: Sequence[Interval]) -> Interval:
    """The weighted sum of parts, which are independent where they were not resampled together.

    Raises:
        ValueError: weights and parts differ in number.
    """
    pairs = list(zip(weights, parts, strict=True))
    value = sum(weight * part.value for weight, part in pairs)
    drawn = [(weight, part) for weight, part in pairs if isinstance(part, Resampled)]
    if drawn and len(drawn) == len(pairs):
        ends = [sorted(weight * end for end in part.bounds) for weight, part in drawn]
        return Resampled.of(
            value,
            np.sum([weight * part.draws for weight, part in drawn], axis=0),
            (sum(low for low, _ in ends), sum(high for _, high in ends)),
        )
    below = sqrt(sum(_reach(weight, part) ** 2 for weight, part in pairs))
    above = sqrt(sum(_reach(-weight, part) ** 2 for weight, part in pairs))
    return Interval(value, value - below, value + above)


def difference(first: Interval, second: Interval) -> Interval:
    """First minus second."""
    return contrast((1, -1), (first, second))


def average(parts: Sequence[Interval]) -> Interval:
    """The unweighted mean of parts."""
    return contrast([1 / len(parts)] * len(parts), parts)


def above_chance(share: Resampled, chance: float) -> Resampled:
    """How much of what guessing leaves open a share fills: 0 at chance, 1 for always.

    (share - chance) / (1 - chance), the classical correction for guessing (Diamond and Evans 1973);
    below 0 where something is so less often than by chance.

    Raises:
        ValueError: guessing leaves nothing open.
    """
    if not 0 <= chance < 1:
        raise ValueError(f"a chance of {chance} leaves nothing to be shown; it must be below 1")
    low, high = ((bound - chance) / (1 - chance) for bound in share.bounds)
    value, draws = (share.value - chance) / (1 - chance), (share.draws - chance) / (1 - chance)
    return Resampled.of(value, draws, (low, high))


def ratio(part: Interval, whole: Interval) -> Interval:
    """Part over whole; without an upper limit where `whole` may be 0.

    Both are at least 0, where they were not resampled together.

    Raises:
        ValueError: `whole` is 0, so that the ratio has no value.
    """
    if whole.value <= 0:
        raise ValueError("a share of nothing: the score that others are measured against is 0")
    if isinstance(part, Resampled) and isinstance(whole, Resampled):
        draws = np.full(len(part.draws), inf)
        np.divide(part.draws, whole.draws, out=draws, where=whole.draws > 0)
        low = 0.0 if part.bounds[0] >= 0 else -inf
        return Resampled.of(part.value / whole.value, draws, (low, inf))
    return Interval(
        part.value / whole.value,
        _ratio_limit(part.value, part.low, whole.value, whole.high, sign=-1),
        inf
        if whole.low <= 0
        else _ratio_limit(part.value, part.high, whole.value, whole.low, sign=1),
    )


def widened(found: Interval, *, choices: int) -> Interval:
    """The interval of a value that was chosen from so many because it stands out.

    Bonferroni: at 1 - 0.05 / `choices` in place of 95 %; on the normal scale where only the limits
    are known.
    """
    if isinstance(found, Resampled):
        return Resampled.of(found.value, found.draws, found.bounds, choices=choices)
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
