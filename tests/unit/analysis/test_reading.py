"""How far a model reads reliably, against its definition taken word by word."""

import itertools

import pytest

from needlework.analysis.effective_length import OWN_SHARE, above_own_share
from needlework.analysis.reading import MOST_SAMPLES, enough_samples, read, told
from needlework.statistics.contrasts import Interval, contrast, interval, ratio
from needlework.statistics.means import Estimate, macro_mean, wilson

STEPS = 200
COUNTS = (13 * 5, 13 * 50, 13 * 500)
RATES = (0.02, 0.3, 0.6, 0.8, 0.86, 0.95, 1.0)


def slow_keeps(part: Interval, whole: Interval) -> bool:
    """Whether no share up to the bar is too much: part - r * whole is above 0 with its interval."""
    shares = [OWN_SHARE * step / STEPS for step in range(STEPS + 1)]
    return all(contrast((1, -share), (part, whole)).low >= 0 for share in shares)


def slow_reliable(scores: dict[int, Estimate]) -> int:
    """The longest length at which, and at all below it, enough is kept for certain."""
    lengths = sorted(scores)
    whole = interval(scores[lengths[0]])
    fine = [
        length
        for length in lengths
        if all(
            below == lengths[0] or slow_keeps(interval(scores[below]), whole)
            for below in lengths
            if below <= length
        )
    ]
    return max(fine)


@pytest.mark.parametrize("count", COUNTS)
def test_it_is_the_definition_word_by_word(count: int) -> None:
    """Over every way to rise and fall between three lengths and the shortest."""
    for rates in itertools.product((0.6, 1.0), RATES, RATES):
        scores = {128 * 2**place: wilson(rate, count=count) for place, rate in enumerate(rates)}
        found = read(scores)
        assert found is not None
        assert found.reliable == slow_reliable(scores), rates


def test_the_page_of_findings_vouches_for_the_same_length() -> None:
    for rates in itertools.product((0.6, 0.9), RATES, RATES):
        scores = {2**place: wilson(rate, count=650) for place, rate in enumerate(rates)}
        found = read(scores)
        assert found is not None
        assert found.reliable == above_own_share(scores).low


def test_a_length_that_recovers_does_not_count() -> None:
    scores = {1: wilson(0.9, count=650), 2: wilson(0.5, count=650), 4: wilson(0.9, count=650)}
    found = read(scores)
    assert found is not None
    assert (found.reliable, found.beyond and found.beyond.length) == (1, 2)


def test_whoever_keeps_all_has_nothing_beyond() -> None:
    found = read({1: wilson(0.9, count=650), 2: wilson(0.9, count=650)})
    assert found is not None
    assert (found.reliable, found.beyond) == (2, None)


def test_a_model_that_scores_nothing_keeps_nothing() -> None:
    assert read({1: wilson(0.0, count=650), 2: wilson(0.5, count=650)}) is None


def test_the_verdict_is_that_of_the_whole_interval() -> None:
    assert told(Interval(0.9, 0.85, 1.0)) == "keeps"
    assert told(Interval(0.8, 0.7, 0.849)) == "loses"
    assert told(Interval(0.85, 0.84, 0.86)) == "cannot be told"


@pytest.mark.parametrize("independent", [True, False])
@pytest.mark.parametrize(
    ("part", "whole"), [((0.9, 0.6), (0.95, 0.8)), ((0.4, 0.3), (0.6, 0.5)), ((1.0,), (1.0,))]
)
def test_enough_samples_are_the_first_of_all_that_tell(
    part: tuple[float, ...], whole: tuple[float, ...], independent: bool
) -> None:
    """Counted up one by one, where the function halves."""

    def is_told(count: int) -> bool:
        sides = [
            interval(
                macro_mean([wilson(mean, count=count) for mean in means], independent=independent)
            )
            for means in (part, whole)
        ]
        return told(ratio(*sides)) != "cannot be told"

    slow = next(count for count in range(3, MOST_SAMPLES) if is_told(count))
    assert enough_samples(part, whole, samples=2, independent=independent) == slow


def test_a_share_at_the_bar_is_never_told() -> None:
    part, whole = (0.85 * 0.8,), (0.8,)
    assert enough_samples(part, whole, samples=50, independent=True) is None
