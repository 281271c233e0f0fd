"""Statistics against their definitions, summed slowly, and their coverage by simulation."""

import random
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from needlework.statistics.means import Z95, estimate, macro_mean, wilson

SCORES = st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=60)
ROUNDING = 1e-9
"""Sums of at most 60 doubles."""


@given(SCORES)
def test_the_mean_is_the_sum_over_everything_asked(scores: list[float | None]) -> None:
    total = 0.0
    for score in scores:
        total += 0.0 if score is None else score
    assert estimate(scores).mean == pytest.approx(total / len(scores), abs=ROUNDING)


@given(SCORES)
def test_the_interval_solves_wilsons_equation(scores: list[float | None]) -> None:
    """Its limits p are where |mean - p| = z sqrt(p (1 - p) / n), or the ends of the range."""
    found = estimate(scores)
    for limit in (found.low, found.high):
        reach = Z95 * sqrt(limit * (1 - limit) / found.count)
        assert abs(found.mean - limit) == pytest.approx(reach, abs=1e-6)


@given(SCORES)
def test_the_interval_encloses_the_mean_and_never_collapses(scores: list[float | None]) -> None:
    found = estimate(scores)
    assert 0 <= found.low <= found.mean <= found.high <= 1
    assert found.high - found.low > 0.01


@given(SCORES, st.randoms())
def test_the_order_of_samples_does_not_matter(
    scores: list[float | None], shuffler: random.Random
) -> None:
    other = list(scores)
    shuffler.shuffle(other)
    assert estimate(other).mean == pytest.approx(estimate(scores).mean, abs=ROUNDING)
    assert estimate(other).failed == estimate(scores).failed


@given(st.lists(SCORES, min_size=1, max_size=8))
def test_dependence_is_never_narrower_than_independence(
    groups: list[list[float | None]],
) -> None:
    parts = [estimate(group) for group in groups]
    apart, together = (macro_mean(parts, independent=each) for each in (True, False))
    assert together.low <= apart.low + ROUNDING
    assert together.high >= apart.high - ROUNDING
    assert together.mean == apart.mean


@pytest.mark.parametrize("truth", [0.02, 0.5, 0.97])
def test_19_of_20_intervals_hold_the_truth(truth: float) -> None:
    """Wilson's interval covers 95 % on average, with a dip to about 91 % near the ends."""
    draws = random.Random(7)
    held = 0
    for _ in range(2000):
        found = estimate([float(draws.random() < truth) for _ in range(50)])
        held += found.low <= truth <= found.high
    assert 0.91 <= held / 2000 <= 0.99


@pytest.mark.parametrize(
    "truths",
    [
        [0.1, 0.4, 0.8, 0.95],
        [0.99] * 13,
        [0.02] * 13,
        [1.0] * 7 + [0.5] * 6,
        [1.0] * 12 + [0.9],
        [place / 14 for place in range(1, 14)],
    ],
    ids=["four", "all near one", "all near zero", "half solved", "one unsolved", "spread"],
)
@pytest.mark.parametrize("samples", [50, 250])
def test_19_of_20_averages_over_tasks_hold_the_truth(truths: list[float], samples: int) -> None:
    """Intervals added in quadrature held it too rarely where all tasks were near one end.

    2,000 draws tell a share to half a percent; hits are whole numbers, so 95 % is met to within two
    and a half, and where some task is always solved the interval is on the safe side.
    """
    draws = np.random.default_rng(8)
    hits = draws.binomial(samples, truths, (2000, len(truths)))
    truth, held = sum(truths) / len(truths), 0
    for row in hits:
        found = macro_mean([wilson(n / samples, count=samples) for n in row], independent=True)
        held += found.low <= truth <= found.high
    assert 0.925 <= held / 2000 <= 0.985
