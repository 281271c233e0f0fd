"""Contrasts: the published formulas, and coverage where samples are drawn anew many times."""

from math import inf, sqrt

import numpy as np
import pytest

from needlework.rng import stream_seed
from needlework.statistics.contrasts import Interval, average, contrast, difference, interval, ratio
from needlework.statistics.means import estimate

NOMINAL, SLACK = 0.95, 0.02
"""Coverage that 95 % intervals promise; 1,000 draws put it within two points."""


def sampled(generator: np.random.Generator, rate: float, count: int = 250) -> Interval:
    hits = int(generator.binomial(count, rate))
    return interval(estimate([1.0] * hits + [0.0] * (count - hits)))


def test_a_difference_is_newcombes_square_and_add() -> None:
    first, second = Interval(0.6, 0.5, 0.7), Interval(0.3, 0.25, 0.4)
    found = difference(first, second)
    assert found.value == pytest.approx(0.3)
    assert found.low == pytest.approx(0.3 - sqrt(0.1**2 + 0.1**2))
    assert found.high == pytest.approx(0.3 + sqrt(0.1**2 + 0.05**2))


def test_an_average_of_equals_narrows_with_their_number() -> None:
    part = Interval(0.5, 0.4, 0.6)
    found = average([part] * 4)
    assert found == pytest.approx((0.5, 0.45, 0.55))


def test_weights_without_a_part_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="argument 2"):
        contrast((1, -1), (Interval(0.5, 0.4, 0.6),))


@pytest.mark.parametrize(("one", "other"), [(0.5, 0.5), (0.95, 0.6), (0.02, 0.3), (1.0, 0.99)])
def test_differences_cover_the_truth(one: float, other: float) -> None:
    generator = np.random.default_rng(stream_seed(0, "difference", str(one), str(other)))
    hits = 0
    for _ in range(1000):
        found = difference(sampled(generator, one), sampled(generator, other))
        hits += found.low <= one - other <= found.high
    assert hits / 1000 >= NOMINAL - SLACK


@pytest.mark.parametrize(("part", "whole"), [(0.3, 0.8), (0.0, 0.5), (0.5, 0.5), (0.05, 0.1)])
def test_ratios_cover_the_truth(part: float, whole: float) -> None:
    generator = np.random.default_rng(stream_seed(0, "ratio", str(part), str(whole)))
    hits = 0
    for _ in range(1000):
        found = ratio(sampled(generator, part), sampled(generator, whole))
        hits += found.low <= part / whole <= found.high
    assert hits / 1000 >= NOMINAL - SLACK


def test_a_ratio_limit_is_where_the_contrast_touches_zero() -> None:
    """The definition: at its limits the ratio r makes part - r * whole reach just to 0."""
    part, whole = Interval(0.3, 0.24, 0.37), Interval(0.8, 0.74, 0.85)
    found = ratio(part, whole)
    assert contrast((1, -found.low), (part, whole)).low == pytest.approx(0, abs=1e-12)
    assert contrast((1, -found.high), (part, whole)).high == pytest.approx(0, abs=1e-12)


def test_a_ratio_to_what_may_be_zero_has_no_upper_limit() -> None:
    found = ratio(Interval(0.1, 0.05, 0.2), Interval(0.01, 0.0, 0.05))
    assert (found.low, found.high) == (0.0, inf)


def test_a_ratio_to_zero_has_no_value() -> None:
    with pytest.raises(ValueError, match="share of nothing"):
        ratio(Interval(0.1, 0.0, 0.2), Interval(0.0, 0.0, 0.1))
