"""Granularity: a percentage is possible exactly when some count rounds to it."""

from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest

from needlework.paper.granularity import is_possible, largest_possible, nearest, steps


@pytest.mark.parametrize("parts", [1, 3, 7, 250, 750, 1250])
def test_possible_is_what_printing_every_count_gives(parts: int) -> None:
    """The definition, slowly: print all counts in both ways of rounding and look them up."""
    unit = Decimal("0.01")
    printed = {
        (Decimal(100 * k) / parts).quantize(unit, rounding)
        for k in range(parts + 1)
        for rounding in (ROUND_HALF_EVEN, ROUND_HALF_UP)
    }
    values = [Decimal(k) / 100 for k in range(0, 10_001, 7)]
    found = [is_possible(Fraction(value), Fraction(1, 200), parts=parts) for value in values]
    assert found == [value in printed for value in values]


def test_nothing_outside_the_scale_is_possible() -> None:
    half = Fraction(1, 200)
    assert not is_possible(Fraction(-4, 10), half, parts=250)
    assert not is_possible(Fraction(1004, 10), half, parts=250)


def test_partial_credit_makes_the_steps_finer() -> None:
    assert (steps("qa_1", 250), steps("vt", 250), steps("cwe", 250)) == (250, 1250, 2500)


def test_nearest_encloses_the_value() -> None:
    assert nearest(Fraction("10.95"), parts=1250) == (Fraction("10.88"), Fraction("10.96"))


def test_the_largest_possible_count_is_found_by_trying_all() -> None:
    value, half = Fraction("43.42"), Fraction(1, 200)
    count = largest_possible(value, half, samples=250, references=3)
    tried = [n for n in range(1, 251) if is_possible(value, half, parts=3 * n)]
    assert count == max(tried)


def test_a_value_that_no_count_gives_has_no_largest() -> None:
    assert largest_possible(Fraction("12.34"), Fraction(1, 200), samples=3, references=1) is None
