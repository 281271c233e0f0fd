"""Depth effects: a lost middle is a U, and the interval of each side holds the truth."""

import numpy as np
import pytest

from needlework.analysis.depth_effects import lost_in_the_middle, trend
from needlework.rng import stream_seed
from needlework.statistics.contrasts import Interval, interval
from needlework.statistics.means import wilson

DEPTHS = (0, 20, 40, 50, 60, 80, 100)


def scores(*rates: float, count: int = 250) -> dict[int, Interval]:
    pairs = zip(DEPTHS, rates, strict=True)
    return {depth: interval(wilson(rate, count=count)) for depth, rate in pairs}


def test_the_middle_stands_beside_both_ends() -> None:
    found = lost_in_the_middle(scores(0.9, 0.1, 0.4, 0.5, 0.6, 0.1, 0.7))
    assert found.beside_start.value == pytest.approx(0.5 - 0.9)
    assert found.beside_end.value == pytest.approx(0.5 - 0.7)
    assert found.beside_start.high < 0
    assert found.beside_end.high < 0


@pytest.mark.parametrize(
    "rates",
    [(0, 0, 0, 0, 0, 1, 1), (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9), (1, 1, 1, 0.5, 0, 0, 0)],
    ids=["the edge of a window", "a slope", "the edge from the other side"],
)
def test_a_step_or_a_slope_is_no_lost_middle(rates: tuple[float, ...]) -> None:
    """The mean of both ends was once compared, below which a window's edge lies."""
    found = lost_in_the_middle(scores(*rates))
    assert max(each.low for each in found) >= -0.05


def test_the_trend_is_end_minus_start() -> None:
    assert trend(scores(0.2, 0, 0, 0, 0, 0, 0.9)).value == pytest.approx(0.7)


def test_the_intervals_of_both_sides_hold_the_truth() -> None:
    """Five depths of 250 samples each: 95 % of the intervals, give or take two."""
    rates = {0: 0.95, 40: 0.55, 50: 0.5, 60: 0.6, 100: 0.9}
    middle = (0.55 + 0.5 + 0.6) / 3
    draws = np.random.default_rng(stream_seed(0, "index")).binomial(
        250, list(rates.values()), (1000, len(rates))
    )
    held = [0, 0]
    for row in draws.tolist():
        drawn = {d: interval(wilson(h / 250, count=250)) for d, h in zip(rates, row, strict=True)}
        found = lost_in_the_middle(drawn)
        for side, truth in enumerate((middle - 0.95, middle - 0.9)):
            held[side] += found[side].low <= truth <= found[side].high
    assert all(0.93 <= each / 1000 <= 0.98 for each in held)


def test_both_sides_are_the_definition_summed_slowly() -> None:
    rng = np.random.default_rng(stream_seed(0, "slow index"))
    for _ in range(50):
        rates = dict(zip(DEPTHS, rng.random(len(DEPTHS)).tolist(), strict=True))
        middle = 0.0
        for depth, rate in rates.items():
            middle += rate / 3 if depth in (40, 50, 60) else 0.0
        found = lost_in_the_middle(scores(*rates.values()))
        assert found.beside_start.value == pytest.approx(middle - rates[0])
        assert found.beside_end.value == pytest.approx(middle - rates[100])
