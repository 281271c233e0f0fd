"""Verdicts: an interval decides only where all of it lies on one side."""

import pytest

from needlework.paper import verdicts
from needlework.paper.verdicts import (
    CEILING,
    Combine,
    Statistic,
    Witness,
    above,
    below,
    carry_out,
    every,
    lowered,
    mixed,
    some,
    within,
)
from needlework.statistics.contrasts import Interval
from needlework.statistics.means import Estimate, wilson
from needlework.study.shown import ShownModel
from tests.unit.paper.test_claims import MODELS, World

YES, NO, OPEN, FULL = "supported", "contradicted", "undecided", "untestable"


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
    assert judge(Interval(-0.001, -0.002, -0.0005)) == NO
    assert judge(Interval(-0.03, -0.049, -0.01)) == NO


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [(-0.04, 0.04, YES), (0.06, 0.2, NO), (-0.2, -0.06, NO), (-0.06, 0.02, OPEN)],
)
def test_no_difference_is_one_all_within_the_limit(low: float, high: float, wanted: str) -> None:
    assert within(0.05)(Interval((low + high) / 2, low, high)) == wanted


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


def test_one_pair_makes_no_order() -> None:
    """A study with one hybrid and one linear model once contradicted that there is no order."""
    assert mixed([NO]) == OPEN
    assert mixed([YES]) == OPEN


@pytest.mark.parametrize("combine", [every, some, mixed])
def test_what_has_no_room_cannot_be_tested(combine: Combine) -> None:
    assert combine([FULL, FULL]) == FULL
    assert combine([FULL, OPEN]) == OPEN


def carried_out(
    low: float, *, combine: Combine, tests: int = 10, score: float = 0.5, room: bool = False
) -> Statistic:
    """The first of several equal statistics, which asks for a score and answers an interval."""

    class Even(World):
        def ruler(self, model: ShownModel, length: int) -> Estimate:
            return wilson(score, count=100)

    def measure(witness: Witness) -> Interval:
        witness.ruler(MODELS[0], 256)
        return Interval(0.1, low, 0.2)

    test = verdicts.Test(
        subject="x", quantity="y", measure=measure, judge=above(0), needs_room=room
    )
    statistics, missing = carry_out([test] * tests, Even(), {"": combine})
    assert not missing
    return statistics[0]


def test_a_union_widens_its_intervals_and_an_intersection_does_not() -> None:
    """[0.01, 0.2] around 0.1 reaches over 0 when widened for ten chances (factor 1.43)."""
    assert carried_out(0.01, combine=every).verdict == YES
    assert carried_out(0.01, combine=some).verdict == OPEN
    assert carried_out(0.01, combine=some, tests=1).verdict == YES
    assert carried_out(0.05, combine=some).verdict == YES
    assert carried_out(0.01, combine=mixed).verdict == OPEN


def test_a_statistic_of_full_scores_has_no_room() -> None:
    full = CEILING + 0.01
    assert carried_out(0.05, combine=every, score=full, room=True).verdict == FULL
    assert carried_out(0.05, combine=every, score=1 - full, room=True).verdict == FULL
    assert carried_out(0.05, combine=every, score=full).verdict == YES
    assert carried_out(0.05, combine=every, score=0.9, room=True).verdict == YES
