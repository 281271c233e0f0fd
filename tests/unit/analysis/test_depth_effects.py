"""Depth effects: the index by hand, and a trend that chance makes as rarely as stated."""

import numpy as np
import pytest

from needlework.analysis.depth_effects import largest_gap, lost_in_the_middle
from needlework.rng import stream_seed
from needlework.statistics.means import wilson

DEPTHS = (0, 20, 40, 50, 60, 80, 100)


def test_the_index_is_middle_minus_ends() -> None:
    scores = dict(zip(DEPTHS, (0.9, 0.1, 0.4, 0.5, 0.6, 0.1, 0.7), strict=True))
    found = lost_in_the_middle({d: wilson(s, count=250) for d, s in scores.items()})
    assert found.value == pytest.approx(0.5 - 0.8)
    assert found.high < 0


def test_the_largest_gap_names_its_depths() -> None:
    scores = {d: wilson(0.5 + d / 1000, count=250) for d in DEPTHS}
    best, worst, gap = largest_gap(scores)
    assert (best, worst, gap.value) == (100, 0, pytest.approx(0.1))


def test_equal_depths_rarely_show_a_gap() -> None:
    """The pair is picked for its gap; the widened interval still excludes 0 in at most 5 %."""
    generator = np.random.default_rng(stream_seed(0, "gap"))
    hits = generator.binomial(250, 0.6, size=(400, len(DEPTHS)))
    found = [
        largest_gap({d: wilson(h / 250, count=250) for d, h in zip(DEPTHS, row, strict=True)})[2]
        for row in hits
    ]
    assert sum(gap.low > 0 for gap in found) / 400 <= 0.07


def test_the_interval_of_the_index_holds_the_truth() -> None:
    """Five depths of 250 samples each: 95 % of the intervals hold the index, give or take two."""
    rates = {0: 0.95, 40: 0.55, 50: 0.5, 60: 0.6, 100: 0.9}
    truth = (0.55 + 0.5 + 0.6) / 3 - (0.95 + 0.9) / 2
    draws = np.random.default_rng(stream_seed(0, "index")).binomial(
        250, list(rates.values()), (1000, len(rates))
    )
    held = 0
    for row in draws.tolist():
        scores = {d: wilson(hits / 250, count=250) for d, hits in zip(rates, row, strict=True)}
        found = lost_in_the_middle(scores)
        held += found.low <= truth <= found.high
    assert 0.93 <= held / 1000 <= 0.98


def test_the_index_is_the_definition_summed_slowly() -> None:
    rng = np.random.default_rng(stream_seed(0, "slow index"))
    for _ in range(50):
        rates = dict(zip(DEPTHS, rng.random(len(DEPTHS)).tolist(), strict=True))
        found = lost_in_the_middle({d: wilson(rate, count=250) for d, rate in rates.items()})
        middle, ends = 0.0, 0.0
        for depth, rate in rates.items():
            middle += rate / 3 if depth in (40, 50, 60) else 0.0
            ends += rate / 2 if depth in (0, 100) else 0.0
        assert found.value == pytest.approx(middle - ends)
