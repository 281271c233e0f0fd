"""Statistics: failures stay in the denominator, and an interval never collapses."""

import pytest
from pydantic import ValidationError

from needlework.statistics.contrasts import interval
from needlework.statistics.means import Estimate, estimate, macro_mean


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


def test_limits_that_do_not_enclose_the_mean_are_refused() -> None:
    with pytest.raises(ValidationError, match="not an estimate"):
        Estimate(mean=0.5, low=0.6, high=0.7, count=3, failed=0)
