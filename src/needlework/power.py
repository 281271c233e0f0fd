"""What a number of samples can see: the smallest difference that a test finds in 4 cases of 5.

Knows counts and rates; does not know scores.
"""

from math import comb

from scipy.stats import binom, norm

SIGNIFICANCE = 0.05
POWER = 0.8


def detectable_difference(samples: int, *, rate: float) -> float | None:
    """The smallest drop from `rate` that two cells of `samples` each tell apart; None if none is.

    Two-sided test of two proportions with the normal approximation (Fleiss, Levin and Paik 2003,
    equation 4.14), solved for the lower rate by bisection.
    """
    if _power_of_drop(samples, rate, rate) < POWER:
        return None
    small, large = 0.0, rate
    for _ in range(60):
        middle = (small + large) / 2
        if _power_of_drop(samples, rate, middle) < POWER:
            small = middle
        else:
            large = middle
    return large


def paired_power(samples: int, *, discordant: float, difference: float) -> float:
    """The chance that the exact paired test finds a difference between models on the same samples.

    `discordant` is the share of samples that just one of the models answers, `difference` the
    difference of their scores. Exact for 0/1 scores: summed over all counts of discordant pairs.
    """
    wins = (discordant + difference) / (2 * discordant)
    total = 0.0
    for pairs in range(1, samples + 1):
        weight = float(binom.pmf(pairs, samples, discordant))
        if weight > 0:
            total += weight * _sign_test_power(pairs, wins)
    return total


def _power_of_drop(samples: int, rate: float, drop: float) -> float:
    lower = rate - drop
    pooled = (rate + lower) / 2
    under_null = (2 * pooled * (1 - pooled) / samples) ** 0.5
    under_drop = ((rate * (1 - rate) + lower * (1 - lower)) / samples) ** 0.5
    critical = float(norm.ppf(1 - SIGNIFICANCE / 2)) * under_null
    if under_drop == 0:
        return float(drop > critical)
    return float(norm.cdf((drop - critical) / under_drop))


def _sign_test_power(pairs: int, wins: float) -> float:
    """The chance that a two-sided sign test of `pairs` pairs is significant."""
    tail, rejected = 0, -1
    while (
        rejected + 1 <= pairs // 2
        and 2 * (tail + comb(pairs, rejected + 1)) <= SIGNIFICANCE * 2**pairs
    ):
        rejected += 1
        tail += comb(pairs, rejected)
    if rejected < 0:
        return 0.0
    low = float(binom.cdf(rejected, pairs, wins))
    return low + float(binom.sf(pairs - rejected - 1, pairs, wins))
