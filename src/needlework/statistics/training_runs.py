"""Means over training runs of one recipe, whose runs answered the same questions.

A score varies with the questions and with the seed of the training. Both count: the questions by
their bootstrap, which all runs share, the seeds by the spread of the runs' means. That spread holds
what questions add to a single run as well, so that the sum is rather too wide than too narrow. The
degrees of freedom are those of a sum of variances (Satterthwaite 1946, doi:10.2307/3002019), of
which that of the questions has many and that of three seeds has two.
"""

from collections.abc import Sequence
from itertools import chain
from math import inf, sqrt
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from needlework.statistics.contrasts import Interval, Resampled, average, contrast

FEWEST = 2
"""Runs of a recipe; one has no spread."""


class OverRuns(NamedTuple):
    """A mean over training runs, or a difference of two."""

    interval: Interval
    """95 %, over seeds and questions."""
    p_value: float
    """Two-sided, that the value is zero."""


def mean_over_runs(runs: Sequence[Resampled]) -> OverRuns:
    """The mean of a recipe's runs, each with the resamples of the same questions.

    Raises:
        ValueError: there are fewer than two runs.
    """
    return _over_runs(average(runs), [runs])


def difference_over_runs(first: Sequence[Resampled], second: Sequence[Resampled]) -> OverRuns:
    """The mean of one recipe's runs minus that of another's, on the same questions.

    Raises:
        ValueError: a recipe has fewer than two runs.
    """
    weights = [1 / len(first)] * len(first) + [-1 / len(second)] * len(second)
    return _over_runs(contrast(weights, list(chain(first, second))), [first, second])


def _over_runs(found: Interval, groups: Sequence[Sequence[Resampled]]) -> OverRuns:
    """Student's interval around a value that was made of the means of groups of runs."""
    assert isinstance(found, Resampled), "a combination of resampled means"
    if any(len(group) < FEWEST for group in groups):
        raise ValueError(f"a recipe of fewer than {FEWEST} training runs has no spread")
    spreads = [float(np.var([run.value for run in group], ddof=1)) / len(group) for group in groups]
    variance = float(found.draws.var(ddof=1)) + sum(spreads)
    doubt = sum(s**2 / (len(group) - 1) for s, group in zip(spreads, groups, strict=True))
    freedom = variance**2 / doubt if doubt > 0 else inf
    reach = _quantile(freedom) * sqrt(variance)
    bounds = found.bounds
    ends = (max(bounds[0], found.value - reach), min(bounds[1], found.value + reach))
    return OverRuns(Interval(found.value, *ends), _p_value(found.value, sqrt(variance), freedom))


def _quantile(freedom: float) -> float:
    """How many standard errors a 95 % interval reaches to either side."""
    return float(ndtri(0.975) if freedom == inf else stdtrit(freedom, 0.975))


def _p_value(value: float, error: float, freedom: float) -> float:
    """The two-sided p-value of a value with this standard error."""
    if value == 0:
        return 1.0
    if error == 0:
        return 0.0
    below = -abs(value) / error
    return 2 * float(ndtr(below) if freedom == inf else stdtr(freedom, below))
