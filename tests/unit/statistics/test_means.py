"""Statistics: failures stay in the denominator, and an interval never collapses."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from pydantic import ValidationError

from needlework.statistics.contrasts import interval
from needlework.statistics.means import Z95, Estimate, estimate, macro_mean, wilson


def test_a_failed_sample_scores_zero_and_is_counted() -> None:
    found = estimate([1.0, None, 0.5, None])
    assert (found.mean, found.count, found.failed) == (0.375, 4, 2)


def test_perfect_scores_keep_an_interval() -> None:
    """A bootstrap of 100 ones has none, as if more samples could not differ."""
    found = estimate([1.0] * 100)
    assert found.high == 1.0
    assert found.low == pytest.approx(0.963, abs=5e-4)


def test_an_empty_cell_is_an_error() -> None:
    with pytest.raises(ValueError, match="an empty cell has no mean"):
        estimate([])


def test_an_average_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no estimates"):
        macro_mean([], independent=True)


def test_an_average_weighs_parts_alike() -> None:
    """RULER averages tasks, not samples."""
    parts = [estimate([1.0] * 10), estimate([0.0] * 30)]
    assert macro_mean(parts, independent=True).mean == 0.5


def test_an_average_adds_counts_and_failures() -> None:
    parts = [estimate([1.0, None]), estimate([None, 0.0, 1.0])]
    found = macro_mean(parts, independent=True)
    assert (found.count, found.failed) == (5, 2)


def test_independent_parts_narrow_the_interval() -> None:
    """Four equal tasks say as much as one with four times the samples."""
    found = macro_mean([estimate([1.0, 0.0] * 25)] * 4, independent=True)
    assert interval(found) == pytest.approx(interval(estimate([1.0, 0.0] * 100)))


def test_an_average_of_one_part_is_that_part() -> None:
    part = estimate([1.0] * 7 + [0.25])
    assert interval(macro_mean([part], independent=True)) == pytest.approx(interval(part))


def test_tasks_that_differ_vary_less_than_their_mean_seems_to() -> None:
    """Half of the tasks solved and half not: no coin flip decides which."""
    parts = [estimate([1.0] * 50), estimate([0.0] * 50)] * 3
    found, coin = macro_mean(parts, independent=True), estimate([1.0, 0.0] * 150)
    assert found.high - found.low < (coin.high - coin.low) / 2


def test_dependent_parts_do_not() -> None:
    """The same needles at four depths are not four times as many needles."""
    part = estimate([1.0, 0.0] * 25)
    found = macro_mean([part] * 4, independent=False)
    assert found.high - found.mean == pytest.approx(part.high - part.mean)


def test_dependent_parts_add_the_distances_to_both_limits() -> None:
    """Parts of different means and widths: a mean distance, neither the widest nor a sum."""
    parts = [estimate([1.0, 0.0] * 25), estimate([1.0] * 60 + [0.0] * 20)]
    found = macro_mean(parts, independent=False)
    assert found.mean - found.low == pytest.approx(sum(each.mean - each.low for each in parts) / 2)
    assert found.high - found.mean == pytest.approx(
        sum(each.high - each.mean for each in parts) / 2
    )


def _exact_count(parts: Sequence[tuple[int, int]]) -> float:
    """The effective sample size of tasks with so many right answers of so many, in fractions.

    Each task borrows two samples of the mean over all, which borrows two right and two wrong ones.
    """
    common = Fraction(sum(right for right, _ in parts) + 2, sum(of for _, of in parts) + 4)
    means = [(right + 2 * common) / (of + 2) for right, of in parts]
    shares = zip(means, (of for _, of in parts), strict=True)
    variance = sum(mean * (1 - mean) / of for mean, of in shares) / len(parts) ** 2
    average = sum(means) / len(means)
    return float(average * (1 - average) / variance)


@pytest.mark.parametrize(
    "parts", [[(4, 4), (1, 6)], [(10, 10), (30, 30)], [(0, 5), (3, 7), (20, 20)]]
)
def test_independent_parts_count_as_many_samples_as_vary_alike(
    parts: list[tuple[int, int]],
) -> None:
    """Tasks of different sizes, some without a wrong answer, where what is borrowed decides."""
    each = [estimate([1.0] * right + [0.0] * (of - right)) for right, of in parts]
    found, plain = macro_mean(each, independent=True), macro_mean(each, independent=False)
    mean = float(sum(Fraction(right, of) for right, of in parts) / len(parts))
    low, high = _wilson_limits(mean, _exact_count(parts))
    assert (found.low, found.high) == pytest.approx((max(low, plain.low), min(high, plain.high)))


def _wilson_limits(mean: float, count: float) -> tuple[float, float]:
    """Both roots of Wilson's equation: z^2 p (1 - p) = n (mean - p)^2."""
    square = Z95**2
    roots = np.roots([count + square, -2 * count * mean - square, count * mean**2])
    return float(min(roots).real), float(max(roots).real)


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_no_number_of_samples_rounds_a_limit_out_of_range(score: float) -> None:
    """Of 16 right answers Wilson's upper limit is a little above 1 in floating point."""
    for count in range(1, 100):
        found = estimate([score] * count)
        assert score in (found.low, found.high)


def test_a_mean_without_failures_has_none() -> None:
    assert wilson(0.5, count=4).failed == 0


def test_limits_that_do_not_enclose_the_mean_are_refused() -> None:
    with pytest.raises(ValidationError, match="not an estimate"):
        Estimate(mean=0.5, low=0.6, high=0.7, count=3, failed=0)
