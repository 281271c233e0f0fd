"""Bootstrap: the same as resampling one by one, with a fixed stream, and it covers."""

import numpy as np
import pytest

from needlework.rng import stream_seed
from needlework.statistics.bootstrap import bootstrap

SCORES = [0.0, 0.2, 0.2, 0.4, 0.6, 1.0, 1.0, 1.0, 0.8, 0.0] * 5


def test_it_is_resampling_one_by_one() -> None:
    """The definition, slowly; both are simulations, so limits agree to a tenth of their width."""
    generator = np.random.default_rng(stream_seed(1, "slow"))
    means = [generator.choice(SCORES, len(SCORES)).mean() for _ in range(10_000)]
    low, high = np.quantile(means, [0.025, 0.975])
    found = bootstrap(SCORES, seed=1, address=("vt", 4096))
    assert found.value == pytest.approx(np.mean(SCORES))
    assert found.low == pytest.approx(low, abs=0.1 * (high - low))
    assert found.high == pytest.approx(high, abs=0.1 * (high - low))


def test_the_same_address_gives_the_same_limits() -> None:
    one = bootstrap(SCORES, seed=1, address=("vt", 4096))
    assert one == bootstrap(SCORES, seed=1, address=("vt", 4096))
    assert one != bootstrap(SCORES, seed=1, address=("vt", 8192))


def test_failed_samples_score_zero() -> None:
    assert bootstrap([1.0, None], seed=0, address=()).value == 0.5


def test_it_covers_the_truth() -> None:
    """150 cells of 100 samples each: 95 % of the intervals hold the mean, give or take 4 points."""
    generator = np.random.default_rng(stream_seed(2, "coverage"))
    rate, hits = 0.7, 0
    for trial in range(150):
        scores = (generator.binomial(5, rate, size=100) / 5).tolist()
        found = bootstrap(scores, seed=2, address=(trial,))
        hits += found.low <= rate <= found.high
    assert 0.91 <= hits / 150 <= 0.99


def test_an_empty_cell_has_no_mean() -> None:
    with pytest.raises(ValueError, match="empty cell"):
        bootstrap([], seed=0, address=())
