"""How a score depends on where the needle lies."""

from collections.abc import Mapping
from typing import NamedTuple

from needlework.statistics.contrasts import Interval, average, difference

MIDDLE, ENDS = (40, 50, 60), (0, 100)
"""Depths in percent; the ends are start and end of the context."""


class Middle(NamedTuple):
    """What the middle scores beside each end; it is lost where it scores less than both."""

    beside_start: Interval
    beside_end: Interval


def lost_in_the_middle(
    scores: Mapping[int, Interval], *, middle: tuple[int, ...] = MIDDLE
) -> Middle:
    """Mean score in the middle minus the score at the start, and minus that at the end.

    A middle that is lost scores less than either: beside one end alone it is a slope or a step. As
    both must hold, neither interval needs a correction (an intersection-union test).

    Raises:
        KeyError: a depth is not measured.
    """
    inside = average([scores[depth] for depth in middle])
    start, end = (difference(inside, scores[depth]) for depth in ENDS)
    return Middle(start, end)


def trend(scores: Mapping[int, Interval]) -> Interval:
    """The score at the end minus the score at the start: what depth adds over the whole context.

    Raises:
        KeyError: a depth is not measured.
    """
    start, end = ENDS
    return difference(scores[end], scores[start])
