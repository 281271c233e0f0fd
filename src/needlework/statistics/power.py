"""Power: the smallest difference that a number of samples detects in 4 cases of 5."""

import numpy as np
from scipy.stats import binom, norm

SIGNIFICANCE = 0.05
POWER = 0.8
BISECTIONS = 40


def detectable_difference(samples: int, *, rate: float) -> float | None:
    """The smallest drop from `rate` that two cells of `samples` each distinguish; None if none is.

    Two-sided test of two proportions with the normal approximation (Fleiss, Levin and Paik 2003,
    equation 4.14), solved for the lower rate by bisection.
    """
    if _power_of_drop(samples, rate, rate) < POWER:
        return None
    small, large = 0.0, rate
    for _ in range(BISECTIONS):
        middle = (small + large) / 2
        if _power_of_drop(samples, rate, middle) < POWER:
            small = middle
        else:
            large = middle
    return large


def detectable_paired_difference(samples: int, *, discordant: float) -> float | None:
    """The smallest difference that the exact paired test sees; None if none is.

    `discordant` is the share of samples that just one of both models answers, which bounds it.
    """
    if paired_power(samples, discordant=discordant, difference=discordant) < POWER:
        return None
    small, large = 0.0, discordant
    for _ in range(BISECTIONS):
        middle = (small + large) / 2
        if paired_power(samples, discordant=discordant, difference=middle) < POWER:
            small = middle
        else:
            large = middle
    return large


def paired_power(samples: int, *, discordant: float, difference: float) -> float:
    """The chance that the exact paired test finds a difference between models on the same samples.

    Exact for 0/1 scores: a two-sided sign test of the discordant pairs, over all their counts.
    """
    wins = (discordant + difference) / (2 * discordant)
    pairs = np.arange(1, samples + 1)
    critical = binom.ppf(SIGNIFICANCE / 2, pairs, 0.5)
    critical -= binom.cdf(critical, pairs, 0.5) > SIGNIFICANCE / 2
    rejected = binom.cdf(critical, pairs, wins) + binom.sf(pairs - critical - 1, pairs, wins)
    return float(binom.pmf(pairs, samples, discordant) @ rejected)


def _power_of_drop(samples: int, rate: float, drop: float) -> float:
    lower = rate - drop
    pooled = (rate + lower) / 2
    under_null = (2 * pooled * (1 - pooled) / samples) ** 0.5
    under_drop = ((rate * (1 - rate) + lower * (1 - lower)) / samples) ** 0.5
    critical = float(norm.ppf(1 - SIGNIFICANCE / 2)) * under_null
    if under_drop == 0:
        return float(drop > critical)
    return float(norm.cdf((drop - critical) / under_drop))
