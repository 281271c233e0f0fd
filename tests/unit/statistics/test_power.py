"""Power: what simulation of the very tests finds."""

import numpy as np
import pytest

from needlework.analysis.comparisons import sign_flip_test
from needlework.rng import stream_seed
from needlework.statistics.power import (
    POWER,
    detectable_difference,
    detectable_paired_difference,
    paired_power,
)

Z = 1.959963984540054
CLOSE = 0.03
"""4,000 studies put a rate of 0.8 within two points; the normal approximation adds one."""


@pytest.mark.parametrize(("samples", "rate"), [(250, 0.5), (250, 0.9), (50, 0.6)])
def test_the_detectable_drop_is_found_in_four_cases_of_five(samples: int, rate: float) -> None:
    drop = detectable_difference(samples, rate=rate)
    assert drop is not None
    generator = np.random.default_rng(stream_seed(0, "power", samples, str(rate)))
    high, low = generator.binomial(samples, [rate, rate - drop], size=(4000, 2)).T / samples
    pooled = (high + low) / 2
    found = np.abs(high - low) > Z * np.sqrt(2 * pooled * (1 - pooled) / samples)
    assert found.mean() == pytest.approx(POWER, abs=CLOSE)


def test_more_samples_see_smaller_differences() -> None:
    many, few = (detectable_difference(n, rate=0.8) for n in (1000, 100))
    assert many is not None
    assert few is not None
    assert many < few / 2


def test_too_few_samples_see_nothing() -> None:
    assert detectable_difference(3, rate=0.3) is None


def test_paired_power_is_what_simulation_finds() -> None:
    """Of 80 samples 30 % differ; the better model wins 20 points more of them."""
    generator = np.random.default_rng(stream_seed(0, "paired power"))
    found = 0
    for _ in range(600):
        kind = generator.random(80)
        first, second = (kind < 0.25).astype(float), ((kind > 0.25) & (kind < 0.3)).astype(float)
        found += sign_flip_test(first.tolist(), second.tolist()) < 0.05
    assert paired_power(80, discordant=0.3, difference=0.2) == pytest.approx(found / 600, abs=0.06)


def test_without_a_difference_paired_power_is_the_level() -> None:
    assert paired_power(200, discordant=0.4, difference=0.0) <= 0.05


@pytest.mark.parametrize(("samples", "discordant"), [(250, 0.2), (50, 0.5)])
def test_the_detectable_paired_difference_has_the_power(samples: int, discordant: float) -> None:
    gap = detectable_paired_difference(samples, discordant=discordant)
    assert gap is not None
    found = paired_power(samples, discordant=discordant, difference=gap)
    assert found == pytest.approx(POWER, abs=1e-6)


def test_too_few_discordant_samples_see_nothing() -> None:
    assert detectable_paired_difference(50, discordant=0.1) is None
