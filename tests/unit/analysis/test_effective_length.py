"""Effective length: the first length that falls short ends it, whatever comes later."""

import numpy as np
import pytest

from needlework.analysis.effective_length import (
    OWN_SHARE,
    RULER_THRESHOLD,
    above_own_share,
    above_threshold,
    retention,
)
from needlework.rng import stream_seed
from needlework.statistics.means import Estimate, estimate, wilson


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


LENGTHS = (1, 2, 4, 8, 16)


def slowly(rates: tuple[float, ...], bar: float) -> int:
    """The definition: the largest length such that no length up to it is below the bar."""
    return max(
        (
            length
            for place, length in enumerate(LENGTHS)
            if all(rate >= bar for rate in rates[: place + 1])
        ),
        default=0,
    )


def sampled(name: str, rates: tuple[float, ...], count: int = 250) -> list[dict[int, Estimate]]:
    """Four hundred studies of these true scores."""
    draws = np.random.default_rng(stream_seed(0, name)).binomial(count, rates, (400, len(rates)))
    return [
        {
            length: wilson(hits / count, count=count)
            for length, hits in zip(LENGTHS, row, strict=True)
        }
        for row in draws.tolist()
    ]


def test_it_is_the_definition_at_every_limit() -> None:
    """At the mean, at the lower and at the upper limits of the scores."""
    for scores in sampled("definition", (0.93, 0.88, 0.86, 0.84, 0.5)):
        found = above_threshold(scores)
        for value, limit in (("length", "mean"), ("low", "low"), ("high", "high")):
            rates = tuple(getattr(scores[length], limit) for length in LENGTHS)
            assert (getattr(found, value) or 0) == slowly(rates, RULER_THRESHOLD)


@pytest.mark.parametrize("rates", [(0.97, 0.95, 0.9, 0.7, 0.3), (0.95, 0.87, 0.84, 0.8, 0.1)])
def test_its_interval_holds_the_true_length(rates: tuple[float, ...]) -> None:
    truth = slowly(rates, RULER_THRESHOLD)
    held = [
        (found.low or 0) <= truth <= (found.high or 0)
        for found in map(above_threshold, sampled("bar", rates))
    ]
    assert np.mean(held) >= 0.93


def test_the_interval_of_the_own_share_holds_the_true_length() -> None:
    rates = (0.8, 0.78, 0.72, 0.6, 0.2)
    truth = slowly(tuple(rate / rates[0] for rate in rates), OWN_SHARE)
    held = [
        (found.low or 0) <= truth <= (found.high or 0)
        for found in map(above_own_share, sampled("share", rates))
    ]
    assert truth == 4
    assert np.mean(held) >= 0.93


@pytest.mark.parametrize("times", [2, 4, 8])
def test_the_interval_of_retention_holds_what_is_kept(times: int) -> None:
    rates = (0.9, 0.7, 0.4, 0.1, 0.02)
    kept = rates[LENGTHS.index(times)] / rates[0]
    found = [retention(each, trained=1, times=times) for each in sampled("kept", rates)]
    held = [each is not None and each.low <= kept <= each.high for each in found]
    assert np.mean(held) >= 0.93
