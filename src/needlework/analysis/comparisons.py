"""Two models on the same samples: paired difference, permutation test, Holm's correction."""

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from math import lcm, log, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, ndtr, stdtrit

from needlework.statistics.contrasts import Interval
from needlework.statistics.means import Z95, Estimate

FINEST = 1000
"""The largest number of references an answer may have; finer scores have no exact test."""

SMALLEST = 1e-12
"""p-values below this are given as this: the folding is exact to about 1e-15."""


class Comparison(NamedTuple):
    """What pairs of scores say about two models."""

    difference: Interval
    p_value: float
    """Two-sided, exact: the share of sign patterns with a difference as large or larger."""
    pairs: int
    discordant: int
    """Pairs whose scores differ; only these carry evidence."""


def compare(
    first: Sequence[float], second: Sequence[float], *, estimates: tuple[Estimate, Estimate]
) -> Comparison:
    """First minus second, sample by sample; `estimates` are those of both sides.

    Raises:
        ValueError: the sides differ in length or are empty.
    """
    if len(first) != len(second) or not first:
        raise ValueError(f"{len(first)} and {len(second)} scores make no pairs")
    return Comparison(
        difference=_paired_difference(first, second, estimates),
        p_value=sign_flip_test(first, second),
        pairs=len(first),
        discordant=sum(one != other for one, other in zip(first, second, strict=True)),
    )


def sign_flip_test(first: Sequence[float], second: Sequence[float]) -> float:
    """The exact two-sided permutation test of paired scores; for 0/1 scores it is McNemar's.

    If both models are equally good, each difference is as likely with the other sign. Scores are
    counts of found references, so differences take few sizes: the totals over all 2^n sign patterns
    are binomial for each size, and their distributions are folded together. At least `SMALLEST`.

    Raises:
        ValueError: a score is no fraction with a small denominator.
    """
    steps = _whole_steps(first, second)
    observed = abs(sum(steps))
    chances = np.ones(1)
    for size, count in Counter(abs(step) for step in steps if step).items():
        spread = np.zeros(2 * size * count + 1)
        spread[:: 2 * size] = _fair_coins(count)
        chances = _folded(chances, spread)
    totals = np.arange(len(chances)) - len(chances) // 2
    return float(np.clip(chances[np.abs(totals) >= observed].sum(), SMALLEST, 1.0))


def interval_test(found: Interval) -> float:
    """The two-sided p-value behind a 95 % interval: how far it would have to widen to reach zero.

    For differences without pairs. Widened on the normal scale, so it agrees with the interval at
    5 % exactly and elsewhere about; at least `SMALLEST`.
    """
    toward_zero = found.value - found.low if found.value > 0 else found.high - found.value
    if found.value == 0:
        return 1.0
    if toward_zero == 0:
        return SMALLEST
    return float(max(SMALLEST, 2 * ndtr(-Z95 * abs(found.value) / toward_zero)))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for their number (Holm 1979), in the order given."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def _fair_coins(count: int) -> NDArray[np.float64]:
    """The chance of each number of heads in `count` fair tosses."""
    heads = np.arange(count + 1)
    ways = gammaln(count + 1) - gammaln(heads + 1) - gammaln(count - heads + 1)
    return np.asarray(np.exp(ways - count * log(2)))


def _folded(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """The distribution of a sum of two independent whole numbers, by Fourier transform."""
    length = len(first) + len(second) - 1
    size = 1 << (length - 1).bit_length()
    product = np.fft.rfft(first, size) * np.fft.rfft(second, size)
    return np.asarray(np.fft.irfft(product, size)[:length])


def _whole_steps(first: Sequence[float], second: Sequence[float]) -> list[int]:
    """The differences in units of their common denominator."""
    exact = {value: Fraction(value).limit_denominator(FINEST) for value in {*first, *second}}
    differences = [exact[one] - exact[other] for one, other in zip(first, second, strict=True)]
    unit = lcm(*(value.denominator for value in differences))
    if unit > FINEST:
        raise ValueError(f"scores in steps of 1/{unit} are too fine; at most 1/{FINEST}")
    return [int(value * unit) for value in differences]


def _paired_difference(
    first: Sequence[float], second: Sequence[float], estimates: tuple[Estimate, Estimate]
) -> Interval:
    """The mean difference: by Newcombe's method for right and wrong, by Student's for parts.

    Student's interval has no width where all differences are equal; there Newcombe's stands in.
    """
    differences = np.subtract(first, second)
    spread = float(differences.std(ddof=1)) if len(differences) > 1 else 0.0
    if spread == 0 or {*first, *second} <= {0.0, 1.0}:
        return _newcombe(first, second, estimates)
    value = float(differences.mean())
    reach = float(stdtrit(len(differences) - 1, 0.975)) * spread / sqrt(len(differences))
    return Interval(value, max(-1.0, value - reach), min(1.0, value + reach))


def _newcombe(
    first: Sequence[float], second: Sequence[float], estimates: tuple[Estimate, Estimate]
) -> Interval:
    """The difference of both means; correlated answers narrow it (Newcombe 1998, paired data)."""
    one, other = estimates
    value = one.mean - other.mean
    rho = _correlation(first, second)
    reaches = (
        (one.mean - one.low, other.high - other.mean),
        (one.high - one.mean, other.mean - other.low),
    )
    below, above = (sqrt(max(0.0, a * a - 2 * rho * a * b + b * b)) for a, b in reaches)
    return Interval(value, max(-1.0, value - below), min(1.0, value + above))


def _correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Pearson's correlation; 0 where a side does not vary."""
    one, other = np.asarray(first), np.asarray(second)
    if one.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
