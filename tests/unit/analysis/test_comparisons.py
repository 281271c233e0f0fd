"""Comparisons: exact tests against scipy, Holm against its definition, intervals by simulation."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from scipy.stats import binomtest, permutation_test

from needlework.analysis.comparisons import compare, holm, sign_flip_test
from needlework.rng import stream_seed
from needlework.statistics.means import estimate


def drawn(name: str, count: int, parts: int) -> tuple[list[float], list[float]]:
    generator = np.random.default_rng(stream_seed(0, name))
    first, second = generator.integers(0, parts + 1, size=(2, count)) / parts
    return first.tolist(), second.tolist()


@pytest.mark.parametrize("parts", [1, 3, 4, 5, 10])
def test_it_is_the_sum_over_all_sign_patterns(parts: int) -> None:
    """The definition, slowly, for ten pairs."""
    first, second = drawn(f"slow/{parts}", 10, parts)
    differences = [round((a - b) * parts) for a, b in zip(first, second, strict=True)]
    observed = abs(sum(differences))
    totals = [
        abs(sum(sign * d for sign, d in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=10)
    ]
    wanted = sum(total >= observed for total in totals) / len(totals)
    assert sign_flip_test(first, second) == pytest.approx(wanted, abs=1e-12)


def test_for_right_and_wrong_it_is_mcnemars_exact_test() -> None:
    first, second = drawn("mcnemar", 250, 1)
    better = sum(a > b for a, b in zip(first, second, strict=True))
    worse = sum(a < b for a, b in zip(first, second, strict=True))
    wanted = binomtest(better, better + worse).pvalue
    assert sign_flip_test(first, second) == pytest.approx(wanted, rel=1e-9)


def test_it_agrees_with_scipys_permutations() -> None:
    first, second = drawn("scipy", 12, 5)

    def mean_difference(one: np.ndarray, other: np.ndarray) -> float:
        return float(np.mean(one - other))

    found = permutation_test(
        (first, second), mean_difference, permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip_test(first, second) == pytest.approx(found.pvalue, abs=1e-12)


def test_mixed_denominators_share_one_unit() -> None:
    assert sign_flip_test([1 / 3, 0.5], [0.0, 0.0]) == 0.5


def test_equal_answers_are_no_evidence() -> None:
    assert sign_flip_test([0.5, 1.0], [0.5, 1.0]) == 1.0


def test_it_rejects_true_equality_as_rarely_as_stated() -> None:
    """An exact test is wrong in at most 5 % of the cases; three points of slack for 400 draws."""
    generator = np.random.default_rng(stream_seed(0, "level"))
    wrong = sum(
        sign_flip_test(*(generator.random((2, 60)) < 0.6).astype(float).tolist()) < 0.05
        for _ in range(400)
    )
    assert wrong / 400 <= 0.08


def by_definition(p_values: Sequence[float], place: int) -> float:
    """Holm's corrected p: the smallest level at which the step-down procedure rejects it."""

    def rejects(level: float) -> bool:
        order = sorted(range(len(p_values)), key=p_values.__getitem__)
        for rank, index in enumerate(order):
            if p_values[index] > level / (len(p_values) - rank):
                return False
            if index == place:
                return True
        raise AssertionError

    levels = np.linspace(0, 1, 10_001)
    return next((float(level) for level in levels if rejects(float(level))), 1.0)


def test_holm_is_its_definition() -> None:
    p_values = [0.01, 0.04, 0.03, 0.005, 0.8]
    found = holm(p_values)
    assert found == pytest.approx([by_definition(p_values, k) for k in range(5)], abs=1e-4)


def test_holm_of_nothing_is_nothing() -> None:
    assert holm([]) == []


def test_the_paired_interval_covers_and_is_narrower_than_the_unpaired() -> None:
    """Models that agree on most samples: pairing is what sees a small difference."""
    generator = np.random.default_rng(stream_seed(0, "paired"))
    hits, widths = 0, []
    for _ in range(500):
        both = generator.random(250)
        first, second = (both < 0.7).astype(float), (both < 0.6).astype(float)
        estimates = (estimate(first.tolist()), estimate(second.tolist()))
        found = compare(first.tolist(), second.tolist(), estimates=estimates).difference
        hits += found.low <= 0.1 <= found.high
        widths.append(found.high - found.low)
    assert hits / 500 >= 0.93
    assert np.mean(widths) < 0.12


def test_the_interval_of_averaged_scores_covers_and_agrees_with_the_test() -> None:
    """Means of 21 answers a needle vary little: an interval made for coin flips would hide that."""
    generator = np.random.default_rng(stream_seed(0, "averaged"))
    hits = 0
    for _ in range(400):
        first, second = generator.binomial(21, [[0.95], [0.9]], size=(2, 50)) / 21
        sides = (first.tolist(), second.tolist())
        found = compare(*sides, estimates=(estimate(sides[0]), estimate(sides[1])))
        hits += found.difference.low <= 0.05 <= found.difference.high
        assert (found.difference.low > 0) <= (found.p_value < 0.06)
    assert 0.92 <= hits / 400 <= 0.98


def test_pairs_of_unequal_number_are_refused() -> None:
    one = estimate([1.0])
    with pytest.raises(ValueError, match="make no pairs"):
        compare([1.0], [1.0, 0.0], estimates=(one, one))


def test_discordant_pairs_are_counted() -> None:
    sides = ([1.0, 0.5, 0.0], [1.0, 0.0, 0.0])
    found = compare(*sides, estimates=(estimate(sides[0]), estimate(sides[1])))
    assert (found.pairs, found.discordant) == (3, 1)
