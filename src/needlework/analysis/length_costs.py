"""Who loses more with length: what it costs one model beyond what it costs another."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from needlework.analysis.comparisons import holm, interval_test
from needlework.analysis.findings import SIGNIFICANCE, Pair
from needlework.statistics.contrasts import Interval, difference


class LengthCost(NamedTuple):
    """Two models that answered the same samples of a suite at two lengths."""

    first: str
    second: str
    suite: str
    shortest: int
    longest: int
    spared: Interval
    """What the first loses less than the second from the shortest length to the longest."""
    corrected: float
    """The p-value, corrected for all of them (Holm)."""

    @property
    def is_significant(self) -> bool:
        """Whether chance is ruled out at 5 %, all pairs of models looked at together."""
        return self.corrected < SIGNIFICANCE


def length_costs(pairs: Iterable[Pair]) -> list[LengthCost]:
    """What length costs one model of each pair beyond the other, in every suite of two lengths.

    At one length two models answer the same samples: their difference is paired. The differences
    at two lengths count as independent; lengths share their questions, so the truth is narrower.
    """
    found = list(_found(pairs))
    corrected = holm([interval_test(spared) for *_, spared in found])
    return [LengthCost(*one, p_value) for one, p_value in zip(found, corrected, strict=True)]


def _found(pairs: Iterable[Pair]) -> Iterator[tuple[str, str, str, int, int, Interval]]:
    by_length: dict[tuple[str, str, str], dict[int, Interval]] = {}
    for pair in pairs:
        key = (pair.first, pair.second, pair.suite)
        by_length.setdefault(key, {})[pair.length] = pair.comparison.difference
    for (first, second, suite), gaps in by_length.items():
        shortest, longest = min(gaps), max(gaps)
        if shortest < longest:
            spared = difference(gaps[longest], gaps[shortest])
            yield first, second, suite, shortest, longest, spared
