"""Statistics against their definitions, summed slowly, and their coverage by simulation."""

import random
from collections.abc import Sequence
from math import inf, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from needlework.statistics import clusters, resampling
from needlework.statistics.contrasts import (
    Interval,
    Resampled,
    above_chance,
    average,
    contrast,
    difference,
    ratio,
)
from needlework.statistics.means import Z95, estimate, macro_mean, wilson
from needlework.statistics.resampling import Questions

SCORES = st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=60)
ROUNDING = 1e-9
"""Sums of at most 60 doubles."""


@given(SCORES)
def test_the_mean_is_the_sum_over_everything_asked(scores: list[float | None]) -> None:
    total = 0.0
    for score in scores:
        total += 0.0 if score is None else score
    assert estimate(scores).mean == pytest.approx(total / len(scores), abs=ROUNDING)


@given(SCORES)
def test_the_interval_solves_wilsons_equation(scores: list[float | None]) -> None:
    """Its limits p are where |mean - p| = z sqrt(p (1 - p) / n), or the ends of the range."""
    found = estimate(scores)
    for limit in (found.low, found.high):
        reach = Z95 * sqrt(limit * (1 - limit) / found.count)
        assert abs(found.mean - limit) == pytest.approx(reach, abs=1e-6)


@given(SCORES)
def test_the_interval_encloses_the_mean_and_never_collapses(scores: list[float | None]) -> None:
    found = estimate(scores)
    assert 0 <= found.low <= found.mean <= found.high <= 1
    assert found.high - found.low > 0.01


@given(SCORES, st.randoms())
def test_the_order_of_samples_does_not_matter(
    scores: list[float | None], shuffler: random.Random
) -> None:
    other = list(scores)
    shuffler.shuffle(other)
    assert estimate(other).mean == pytest.approx(estimate(scores).mean, abs=ROUNDING)
    assert estimate(other).failed == estimate(scores).failed


@given(st.lists(SCORES, min_size=1, max_size=8))
def test_dependence_is_never_narrower_than_independence(
    groups: list[list[float | None]],
) -> None:
    parts = [estimate(group) for group in groups]
    apart, together = (macro_mean(parts, independent=each) for each in (True, False))
    assert together.low <= apart.low + ROUNDING
    assert together.high >= apart.high - ROUNDING
    assert together.mean == apart.mean


@pytest.mark.parametrize("truth", [0.02, 0.5, 0.97])
def test_19_of_20_intervals_hold_the_truth(truth: float) -> None:
    """Wilson's interval covers 95 % on average, with a dip to about 91 % near the ends."""
    draws = random.Random(7)
    held = 0
    for _ in range(2000):
        found = estimate([float(draws.random() < truth) for _ in range(50)])
        held += found.low <= truth <= found.high
    assert 0.91 <= held / 2000 <= 0.99


@pytest.mark.parametrize(
    "truths",
    [
        [0.1, 0.4, 0.8, 0.95],
        [0.99] * 13,
        [0.02] * 13,
        [1.0] * 7 + [0.5] * 6,
        [1.0] * 12 + [0.9],
        [place / 14 for place in range(1, 14)],
    ],
    ids=["four", "all near one", "all near zero", "half solved", "one unsolved", "spread"],
)
@pytest.mark.parametrize("samples", [50, 250])
def test_19_of_20_averages_over_tasks_hold_the_truth(truths: list[float], samples: int) -> None:
    """Intervals added in quadrature held it too rarely where all tasks were near one end.

    2,000 draws tell a share to half a percent; hits are whole numbers, so 95 % is met to within two
    and a half, and where some task is always solved the interval is on the safe side.
    """
    draws = np.random.default_rng(8)
    hits = draws.binomial(samples, truths, (2000, len(truths)))
    truth, held = sum(truths) / len(truths), 0
    for row in hits:
        found = macro_mean([wilson(n / samples, count=samples) for n in row], independent=True)
        held += found.low <= truth <= found.high
    assert 0.925 <= held / 2000 <= 0.985


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_samples_that_share_nothing_have_wilsons_interval(scores: list[bool]) -> None:
    values = list(map(float, scores))
    found, alone = clusters.clustered(values, range(len(values))), estimate(values)
    assert (found.mean, found.low, found.high) == pytest.approx((alone.mean, alone.low, alone.high))


@given(st.lists(st.booleans(), min_size=1, max_size=20), st.integers(1, 5))
def test_samples_that_are_copies_are_worth_one(scores: list[bool], copies: int) -> None:
    values = [float(score) for score in scores for _ in range(copies)]
    shared = [each for each in range(len(scores)) for _ in range(copies)]
    found, alone = clusters.clustered(values, shared), estimate(list(map(float, scores)))
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high))
    assert found.count == len(values)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 5)), min_size=2, max_size=30))
def test_the_worth_of_clusters_follows_the_definition(pairs: list[tuple[float, int]]) -> None:
    """The variance of a ratio, summed over clusters one by one (Cochran 1977, 9.3)."""
    scores, shared = [score for score, _ in pairs], [cluster for _, cluster in pairs]
    found = clusters.clustered(scores, shared)
    mean = sum(scores) / len(scores)
    spread = 0.0
    for each in set(shared):
        inside = [score for score, cluster in pairs if cluster == each]
        spread += (sum(inside) - mean * len(inside)) ** 2
    worth = len(set(shared)) if spread == 0 else mean * (1 - mean) * len(pairs) ** 2 / spread
    for limit in (found.low, found.high):
        reach = Z95 * sqrt(limit * (1 - limit) / min(worth, len(pairs)))
        assert abs(mean - limit) == pytest.approx(reach, abs=1e-6)


CLUSTERED = ((0.1, 4), (0.5, 4), (0.9, 7), (0.97, 2))
"""How often a question is found, and how many samples share each of 40 questions."""


@pytest.mark.parametrize(("truth", "copies"), CLUSTERED)
def test_19_of_20_intervals_of_clusters_hold_the_truth(truth: float, copies: int) -> None:
    """Questions differ: of each, samples are found together more often than by chance."""
    draws = np.random.default_rng(5)
    held = 0
    for _ in range(800):
        chances = draws.beta(2 * truth, 2 * (1 - truth), size=40)
        hits = draws.random((40, copies)) < chances[:, None]
        shared = np.repeat(np.arange(40), copies).tolist()
        found = clusters.clustered(hits.ravel().astype(float).tolist(), shared)
        held += found.low <= truth <= found.high
    assert 0.91 <= held / 800 <= 0.99


NUMBERS = st.lists(st.tuples(st.floats(-50, 50), st.integers(0, 5)), min_size=2, max_size=30)


@given(NUMBERS)
def test_the_interval_of_numbers_in_clusters_follows_the_definition(
    pairs: list[tuple[float, int]],
) -> None:
    """Of clusters of one size the mean of their means with Student's t; else Cochran's sum."""
    values, shared = [value for value, _ in pairs], [cluster for _, cluster in pairs]
    found = clusters.clustered_mean(values, shared)
    mean, groups = sum(values) / len(values), len(set(shared))
    assert found.value == pytest.approx(mean)
    if groups == 1:
        assert (found.low, found.high) == (-np.inf, np.inf)
        assert clusters.clustered_test(values, shared) == 1
        return
    spread = 0.0
    for each in set(shared):
        inside = [value for value, cluster in pairs if cluster == each]
        spread += (sum(inside) - mean * len(inside)) ** 2
    error = sqrt(spread / (groups - 1) * groups) / len(values)
    reach = student.ppf(0.975, groups - 1) * error
    assert (found.low, found.high) == pytest.approx((mean - reach, mean + reach), abs=1e-9)
    p_value = clusters.clustered_test(values, shared)
    if mean and error:
        assert p_value == pytest.approx(2 * student.sf(abs(mean) / error, groups - 1))
    else:
        assert p_value == (0.0 if mean else 1.0)
    if shared == list(range(len(shared))):
        assert error == pytest.approx(np.std(values, ddof=1) / sqrt(len(values)))


@pytest.mark.parametrize("copies", [1, 4])
def test_19_of_20_intervals_of_numbers_in_clusters_hold_the_truth(copies: int) -> None:
    """Margins of 20 questions, skewed as margins are, each asked so often with some noise."""
    draws = np.random.default_rng(6)
    held = 0
    for _ in range(1000):
        questions = draws.gamma(4.0, 1.0, size=20)
        values = np.repeat(questions, copies) + draws.normal(0, 0.5, size=20 * copies)
        shared = np.repeat(np.arange(20), copies).tolist()
        found = clusters.clustered_mean(values.tolist(), shared)
        held += found.low <= 4.0 <= found.high
    assert 0.92 <= held / 1000 <= 0.975


RATES = ((0.9, 0.7), (0.5, 0.5), (0.98, 0.9), (1.0, 0.99))
"""Two cells that ask the same questions, and how often each finds them."""


def answers(
    draws: np.random.Generator, rates: Sequence[float], *, count: int, alike: float
) -> list[list[float]]:
    """What cells answer to the same questions, of which a share is as hard for all of them."""
    same = draws.random(count)
    return [
        (np.where(draws.random(count) < alike, same, draws.random(count)) < rate)
        .astype(float)
        .tolist()
        for rate in rates
    ]


@pytest.mark.parametrize("rates", RATES)
def test_19_of_20_paired_differences_hold_the_truth(
    rates: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """50 questions, read at two lengths; near 100 % the intervals are too wide, not too narrow."""
    monkeypatch.setattr(resampling, "RESAMPLES", 500)
    draws, held = np.random.default_rng(3), 0
    for seed in range(400):
        questions = Questions(seed=seed)
        one, other = (
            questions.mean("task", scores, address=(str(place),))
            for place, scores in enumerate(answers(draws, rates, count=50, alike=0.6))
        )
        found = difference(one, other)
        held += found.low <= rates[0] - rates[1] <= found.high
    assert 0.92 <= held / 400 <= 1


def test_19_of_20_means_over_tasks_hold_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the tasks full, the others anywhere, as a small model's are."""
    monkeypatch.setattr(resampling, "RESAMPLES", 500)
    before = (1, 1, 1, 1, 0.98, 0.9, 0.95, 0.99, 0.9, 0.02, 0.6, 0.9, 0.5)
    after = (0.9, 0.95, 0.9, 0.8, 0.6, 0.3, 0.7, 0.8, 0.7, 0.02, 0.58, 0.7, 0.3)
    truth = (sum(after) - sum(before)) / len(before)
    draws, held = np.random.default_rng(4), 0
    for seed in range(150):
        questions = Questions(seed=seed)
        cells = [
            [
                questions.mean(f"task {task}", scores, address=(task, place))
                for place, scores in enumerate(answers(draws, rates, count=50, alike=0.6))
            ]
            for task, rates in enumerate(zip(before, after, strict=True))
        ]
        found = difference(average([new for _, new in cells]), average([old for old, _ in cells]))
        held += found.low <= truth <= found.high
    assert 0.91 <= held / 150 <= 1


def test_pairs_narrow_a_difference() -> None:
    """Cells that agree on every question but one: as if independent, the interval is far wider."""
    scores = [float(each % 2) for each in range(50)]
    questions = Questions(seed=1)
    one, other = (
        questions.mean("task", values, address=(str(place),))
        for place, values in enumerate((scores, [1.0, *scores[1:]]))
    )
    paired = difference(one, other)
    alone = difference(Interval(*one), Interval(*other))
    assert paired.value == pytest.approx(-0.02)
    assert paired.high - paired.low < 0.5 * (alone.high - alone.low)


def test_resamples_are_the_definition_drawn_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without borrowed samples: draw questions one by one, and take the mean of what was drawn."""
    monkeypatch.setattr(resampling, "BORROWED", 0)
    scores = [1.0, 1.0, 0.5, 0.0, 0.0, 1.0, 0.25, 0.0]
    found = Questions(seed=1).mean("task", scores, address=("x",))
    slow = random.Random(1)
    drawn = sorted(sum(slow.choice(scores) for _ in scores) / len(scores) for _ in range(20_000))
    assert found.value == pytest.approx(sum(scores) / len(scores))
    for limit, share in ((found.low, 0.025), (found.high, 0.975)):
        assert limit == pytest.approx(drawn[int(share * len(drawn))], abs=0.035)


@given(st.lists(st.floats(-2, 2), min_size=2, max_size=2))
def test_combinations_of_resamples_are_those_of_every_draw(weights: list[float]) -> None:
    questions = Questions(seed=2)
    parts = [
        questions.mean("task", [float(each > place) for each in range(6)], address=(str(place),))
        for place in (1, 3)
    ]
    found = contrast(weights, parts)
    assert isinstance(found, Resampled)
    for draw in (0, 77):
        wanted = sum(w * part.draws[draw] for w, part in zip(weights, parts, strict=True))
        assert found.draws[draw] == pytest.approx(wanted, abs=ROUNDING)
    share = ratio(parts[1], parts[0])
    assert share.value == pytest.approx(parts[1].value / parts[0].value)
    assert share.low <= share.value <= share.high


def test_what_is_full_keeps_a_width_and_no_more_than_there_is() -> None:
    questions = Questions(seed=1)
    one, other = (questions.mean("task", [1.0] * 50, address=(str(each),)) for each in range(2))
    assert (one.value, one.high) == (1.0, 1.0)
    assert one.low < 0.98
    gap = difference(one, other)
    assert gap.low < 0 < gap.high


def test_a_share_of_what_is_often_nothing_has_no_upper_limit() -> None:
    """One right answer in 40: a third of its resamples have none. The limit was once not a number.

    Interpolation between two endless resamples gave it.
    """
    questions = Questions(seed=9)
    whole = questions.mean("group", [1.0] + [0.0] * 39, address=("whole",))
    part = questions.mean("group", [0.0, 1.0] + [0.0] * 38, address=("part",))
    found = ratio(part, whole)
    assert (found.value, found.low, found.high) == (1.0, 0.0, inf)


@pytest.mark.parametrize("chance", [0.2, 0.5])
def test_19_of_20_shares_above_chance_hold_the_truth(
    chance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that knows a part of all questions, and guesses the others."""
    monkeypatch.setattr(resampling, "RESAMPLES", 500)
    generator, knows, held = np.random.default_rng(11), 0.4, 0
    for study in range(300):
        first = (generator.random(60) < knows + (1 - knows) * chance).astype(float).tolist()
        share = Questions(seed=study).mean("group", first, address=("one",))
        found = above_chance(share, chance)
        by_hand = [(draw - chance) / (1 - chance) for draw in share.draws]
        assert found.low == pytest.approx(np.quantile(by_hand, 0.025))
        held += found.low <= knows <= found.high
    # Of 300 studies chance takes three standard errors off 95 %.
    assert held / 300 >= 0.95 - 3 * sqrt(0.95 * 0.05 / 300)


def test_what_guessing_always_finds_shows_nothing() -> None:
    share = Questions(seed=1).mean("group", [1.0, 0.0], address=())
    with pytest.raises(ValueError, match="must be below 1"):
        above_chance(share, 1.0)
