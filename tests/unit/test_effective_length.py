"""Effective length: the first length that falls short ends it, whatever comes later."""

import pytest

from needlework.effective_length import above_own_share, above_threshold, retention
from needlework.statistics import Estimate, estimate


def cell(hits: int, count: int = 250) -> Estimate:
    return estimate([1.0] * hits + [0.0] * (count - hits))


def test_it_ends_at_the_first_length_that_falls_short() -> None:
    found = above_threshold({1: cell(240), 2: cell(235), 4: cell(100), 8: cell(240)})
    assert found == (2, 2, 2)


def test_uncertainty_is_a_range_of_lengths() -> None:
    """88 % of 250: the mean is above 85.6, the lower limit is not."""
    found = above_threshold({1: cell(245), 2: cell(220), 4: cell(205), 8: cell(20)})
    assert (found.low, found.length, found.high) == (1, 2, 4)


def test_a_model_below_the_bar_everywhere_has_none() -> None:
    assert above_threshold({1: cell(100), 2: cell(50)}) == (None, None, None)


def test_the_own_share_is_measured_against_the_shortest_length() -> None:
    found = above_own_share({1: cell(240), 2: cell(235), 4: cell(60)})
    assert found == (2, 2, 2)


def test_the_shortest_length_always_keeps_its_own_share() -> None:
    assert above_own_share({1: cell(2), 2: cell(0)}).length == 1


def test_a_model_that_answers_nothing_reads_nowhere() -> None:
    assert above_own_share({1: cell(0), 2: cell(0)}) == (None, None, None)


def test_no_lengths_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="no lengths"):
        above_threshold({})


def test_retention_is_the_share_that_is_left() -> None:
    scores = {256: cell(200), 512: cell(100)}
    found = retention(scores, trained=256, times=2)
    assert found is not None
    assert found.value == pytest.approx(0.5)
    assert found.low < 0.5 < found.high
    assert retention(scores, trained=256, times=4) is None


def test_retention_of_nothing_has_no_value() -> None:
    assert retention({256: cell(0), 512: cell(1)}, trained=256, times=2) is None
