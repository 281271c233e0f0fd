"""How a score depends on where the needle lies."""

from collections.abc import Mapping

from needlework.statistics.contrasts import Interval, average, difference, interval, widened
from needlework.statistics.means import Estimate

MIDDLE, ENDS = (40, 50, 60), (0, 100)


def lost_in_the_middle(scores: Mapping[int, Estimate]) -> Interval:
    """Mean score in the middle minus mean score at both ends; negative when the middle is lost.

    Raises:
        KeyError: a depth is not measured.
    """
    middle, ends = ([interval(scores[depth]) for depth in depths] for depths in (MIDDLE, ENDS))
    return difference(average(middle), average(ends))


def largest_gap(scores: Mapping[int, Estimate]) -> tuple[int, int, Interval]:
    """The two depths whose scores differ most (best, worst), and their difference.

    The pair is chosen because it differs, so the interval is widened for the number of pairs it was
    chosen from.
    """
    best = max(scores, key=lambda depth: scores[depth].mean)
    worst = min(scores, key=lambda depth: scores[depth].mean)
    pairs = len(scores) * (len(scores) - 1) // 2
    gap = difference(interval(scores[best]), interval(scores[worst]))
    return best, worst, widened(gap, choices=pairs)
