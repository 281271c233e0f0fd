"""Verdicts: an interval decides only where all of it lies on one side."""

import pytest

from needlework.paper.verdicts import above, below, every, lowered, mixed, some
from needlework.statistics.contrasts import Interval

YES, NO, OPEN = "supported", "contradicted", "undecided"


@pytest.mark.parametrize(
    ("low", "high", "wanted"), [(0.1, 0.2, YES), (-0.2, -0.1, NO), (-0.1, 0.1, OPEN)]
)
def test_an_interval_across_the_limit_decides_nothing(low: float, high: float, wanted: str) -> None:
    middle = (low + high) / 2
    assert above(0)(Interval(middle, low, high)) == wanted
    assert below(0)(Interval(-middle, -high, -low)) == wanted


def test_a_difference_too_small_to_matter_contradicts_a_drop() -> None:
    """All depths at 100 % is not lost in the middle, although the interval touches zero."""
    judge = lowered(by=0.05)
    assert judge(Interval(0.0, -0.01, 0.01)) == NO
    assert judge(Interval(-0.1, -0.2, 0.0)) == OPEN
    assert judge(Interval(-0.1, -0.2, -0.01)) == YES


def test_one_counterexample_contradicts_what_holds_for_every() -> None:
    assert every([YES, YES]) == YES
    assert every([YES, OPEN]) == OPEN
    assert every([YES, OPEN, NO]) == NO


def test_one_example_supports_what_holds_for_some() -> None:
    assert some([NO, YES]) == YES
    assert some([NO, OPEN]) == OPEN
    assert some([NO, NO]) == NO


def test_examples_on_both_sides_support_that_there_is_no_order() -> None:
    assert mixed([YES, NO, OPEN]) == YES
    assert mixed([NO, NO]) == NO
    assert mixed([NO, OPEN]) == OPEN
