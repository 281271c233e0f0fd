"""How a claim is put to the test: a statistic, its interval, and what the interval says."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, NamedTuple

from needlework.errors import RecordError
from needlework.paper.evidence import Evidence
from needlework.statistics.contrasts import Interval, average, interval, widened
from needlework.statistics.means import Estimate, macro_mean
from needlework.study.paper import DEPTHS, FORMAT_DEPTHS
from needlework.study.shown import ShownModel

Verdict = Literal["supported", "contradicted", "undecided", "untestable"]
Unit = Literal["points", "ratio", "points per doubling"]

CEILING, FLOOR = 0.975, 0.025
"""Where every score behind a statistic is above the one, or below the other, there is no room for a
difference, so that none says nothing."""


class Witness:
    """Looks scores up for one statistic and remembers which cells it asked."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self.cells: list[str] = []
        """Every cell asked, as model/suite/length[/format][/depth]."""
        self.values: list[float] = []
        """Their scores."""

    def ruler(self, model: ShownModel, length: int) -> Interval:
        """The RULER mean of a model at a length."""
        return self._told(f"{model.name}/ruler/{length}", self._evidence.ruler(model, length))

    def by_depth(
        self, model: ShownModel, length: int, *, depths: Sequence[int] = DEPTHS
    ) -> dict[int, Interval]:
        """The mean over formats at every one of these depths."""
        return {
            depth: self._told(
                f"{model.name}/depth/{length}/{depth}",
                self._evidence.over_formats(model, depth=depth, length=length),
            )
            for depth in depths
        }

    def form(self, model: ShownModel, form: str, *lengths: int) -> Interval:
        """One needle format, averaged over lengths and the depths of the table by format.

        These share their needles; where that is not known of single samples, their intervals add
        plainly, which covers any correlation.
        """
        parts = [
            self._evidence.depth(model, form, depth=depth, length=length)
            for length in lengths
            for depth in FORMAT_DEPTHS
        ]
        for length, depth in product(lengths, FORMAT_DEPTHS):
            self.cells.append(f"{model.name}/depth/{length}/{form}/{depth}")
        estimates = [part for part in parts if isinstance(part, Estimate)]
        if estimates:
            found = interval(macro_mean(estimates, independent=False))
        else:
            found = average([part for part in parts if isinstance(part, Interval)])
        self.values.append(found.value)
        return found

    def _told(self, cell: str, found: Estimate | Interval) -> Interval:
        """A score as an interval, remembered with its cell."""
        self.cells.append(cell)
        self.values.append(interval(found).value)
        return interval(found)

    @property
    def has_room(self) -> bool:
        """Whether the scores asked for leave room for a difference."""
        above = all(value >= CEILING for value in self.values)
        return not above and not all(value <= FLOOR for value in self.values)


@dataclass(frozen=True, kw_only=True)
class Test:
    """One statistic that bears on a claim, not yet computed."""

    subject: str
    quantity: str
    unit: Unit = "points"
    measure: Callable[[Witness], Interval]
    judge: Callable[[Interval], Verdict]
    part: str = ""
    """Which part of the claim it is about; parts must hold together."""
    needs_room: bool = False
    """Whether it says nothing where all its scores are near 0, or all near 100 %."""
    beside: bool = False
    """Whether it stands beside the claim without deciding it."""


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """A statistic with its interval and what it says about the claim."""

    subject: str
    quantity: str
    unit: Unit
    interval: Interval
    verdict: Verdict
    cells: tuple[str, ...]
    part: str = ""
    beside: bool = False


class Missing(NamedTuple):
    """A statistic that could not be computed, with the reason."""

    told: str
    beside: bool


Combine = Callable[[Sequence[Verdict]], Verdict]


def below(limit: float) -> Callable[[Interval], Verdict]:
    """A judge who supports a claim when all of the interval lies below `limit`."""
    return lambda found: _judge(holds=found.high < limit, fails=found.low > limit)


def above(limit: float) -> Callable[[Interval], Verdict]:
    """A judge who supports a claim when all of the interval lies above `limit`."""
    return lambda found: _judge(holds=found.low > limit, fails=found.high < limit)


def within(limit: float) -> Callable[[Interval], Verdict]:
    """A judge who supports a claim when all of the interval is nearer to 0 than `limit`."""
    return lambda found: _judge(
        holds=-limit < found.low and found.high < limit,
        fails=found.low > limit or found.high < -limit,
    )


def lowered(*, by: float) -> Callable[[Interval], Verdict]:
    """A judge who supports a claim of `less than 0`, and calls less than `by` no difference.

    An interval all below 0 that cannot reach `by` is no difference either.
    """
    return lambda found: _judge(holds=found.high < 0 and found.low <= -by, fails=found.low > -by)


def every(verdicts: Sequence[Verdict]) -> Verdict:
    """One counterexample contradicts; all together support."""
    return _combined(
        verdicts,
        holds=all(verdict == "supported" for verdict in verdicts),
        fails="contradicted" in verdicts,
    )


def some(verdicts: Sequence[Verdict]) -> Verdict:
    """One example supports; only all together contradict."""
    return _combined(
        verdicts,
        holds="supported" in verdicts,
        fails=all(verdict == "contradicted" for verdict in verdicts),
    )


def mixed(verdicts: Sequence[Verdict]) -> Verdict:
    """Examples on both sides support; several, all on one side, contradict."""
    found = set(verdicts)
    return _combined(
        verdicts,
        holds={"supported", "contradicted"} <= found,
        fails=len(verdicts) > 1 and found in ({"supported"}, {"contradicted"}),
    )


UNIONS: Mapping[Combine, frozenset[Verdict]] = {
    every: frozenset({"contradicted"}),
    some: frozenset({"supported"}),
    mixed: frozenset({"supported", "contradicted"}),
}
"""What one of several statistics is enough for: there it has as many chances as there are, and its
interval is widened for their number (Bonferroni)."""


def carry_out(
    tests: Iterable[Test], evidence: Evidence, combine: Mapping[str, Combine]
) -> tuple[list[Statistic], list[Missing]]:
    """Every statistic that the evidence allows, and why each other one could not be computed.

    `combine` says of every part of a claim how its statistics decide it.
    """
    statistics: list[Statistic] = []
    missing: list[Missing] = []
    asked = list(tests)
    for test in asked:
        witness = Witness(evidence)
        try:
            found = test.measure(witness)
        except RecordError as error:
            told = f"{test.subject}, {test.quantity}: {error}"
            missing.append(Missing(told, beside=test.beside))
            continue
        chances = sum(not each.beside and each.part == test.part for each in asked)
        verdict = _decided(test, found, combine[test.part], chances=max(1, chances))
        if test.needs_room and not witness.has_room:
            verdict = "untestable"
        statistics.append(
            Statistic(
                subject=test.subject,
                quantity=test.quantity,
                unit=test.unit,
                interval=found,
                verdict=verdict,
                cells=tuple(dict.fromkeys(witness.cells)),
                part=test.part,
                beside=test.beside,
            )
        )
    return statistics, missing


def _decided(test: Test, found: Interval, combine: Combine, *, chances: int) -> Verdict:
    """What an interval says, where one of several is enough only if it does when widened."""
    verdict = test.judge(found)
    if test.beside or verdict not in UNIONS[combine]:
        return verdict
    wide = test.judge(widened(found, choices=chances))
    return verdict if wide == verdict else "undecided"


def _combined(verdicts: Sequence[Verdict], *, holds: bool, fails: bool) -> Verdict:
    if verdicts and set(verdicts) == {"untestable"}:
        return "untestable"
    return _judge(holds=holds, fails=fails)


def _judge(*, holds: bool, fails: bool) -> Verdict:
    if holds:
        return "supported"
    return "contradicted" if fails else "undecided"
