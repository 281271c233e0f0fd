"""Means of scores that come in clusters: samples that share a needle are not independent."""

from collections.abc import Hashable, Sequence
from math import inf, sqrt

from scipy.special import stdtr, stdtrit

from needlework.statistics.contrasts import Interval
from needlework.statistics.means import Estimate, wilson_of


def clustered(scores: Sequence[float | None], clusters: Sequence[Hashable]) -> Estimate:
    """The mean of scores with Wilson's interval for as many samples as vary as much.

    Scores of a cluster may rise and fall together. The variance of the mean is that between
    clusters (the linearised one of a ratio, Cochran 1977, section 9.3), and the interval that of
    the number of independent samples with this variance (Korn and Graubard 1998), at most as many
    as there are. Where all scores are 0, or all are 1, every cluster counts once. A failed sample
    (None) scores zero.

    Raises:
        ValueError: there is no score, or not one cluster for each.
    """
    if not scores:
        raise ValueError("an empty group has no mean; was every sample predicted?")
    totals: dict[Hashable, list[float]] = {}
    for score, cluster in zip(scores, clusters, strict=True):
        totals.setdefault(cluster, []).append(score or 0.0)
    count = len(scores)
    mean = sum(map(sum, totals.values())) / count
    spread = sum((sum(each) - mean * len(each)) ** 2 for each in totals.values()) / count**2
    worth = mean * (1 - mean) / spread if spread > 0 else float(len(totals))
    failed = sum(score is None for score in scores)
    return wilson_of(mean, worth=min(worth, count), count=count, failed=failed)


def clustered_mean(values: Sequence[float], clusters: Sequence[Hashable]) -> Interval:
    """The mean of numbers without bounds, with Student's interval over their clusters.

    The variance of the mean is that between clusters, as in `clustered`, with one degree of freedom
    less than there are clusters. One cluster says nothing of it, and its interval is without ends.

    Raises:
        ValueError: there is no number, or not one cluster for each.
    """
    mean, error, groups = _clustered_error(values, clusters)
    reach = float(stdtrit(groups - 1, 0.975)) * error if groups > 1 else inf
    return Interval(mean, mean - reach, mean + reach)


def clustered_test(values: Sequence[float], clusters: Sequence[Hashable]) -> float:
    """The two-sided p-value of Student's test that the mean is 0, which agrees with the interval of
    `clustered_mean`; 1 where all values are 0, or in one cluster.

    Raises:
        ValueError: there is no number, or not one cluster for each.
    """
    mean, error, groups = _clustered_error(values, clusters)
    if mean == 0 or error == inf:
        return 1.0
    return 2 * float(stdtr(groups - 1, -abs(mean) / error)) if error > 0 else 0.0


def _clustered_error(
    values: Sequence[float], clusters: Sequence[Hashable]
) -> tuple[float, float, int]:
    """The mean, its standard error between clusters, endless of one, and the number of clusters."""
    if not values:
        raise ValueError("an empty group has no mean")
    totals: dict[Hashable, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        totals.setdefault(cluster, []).append(value)
    mean, groups = sum(values) / len(values), len(totals)
    if groups == 1:
        return mean, inf, groups
    spread = sum((sum(each) - mean * len(each)) ** 2 for each in totals.values())
    return mean, sqrt(spread * groups / (groups - 1)) / len(values), groups
