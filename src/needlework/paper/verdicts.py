"""How a claim is put to the test: a statistic, its interval, and what the interval says."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from needlework.errors import RecordError
from needlework.paper.evidence import Evidence
from needlework.statistics.contrasts import Interval, interval
from needlework.statistics.means import Estimate, macro_mean
from needlework.study.config import ShownModel
from needlework.study.paper import DEPTHS, FORMAT_DEPTHS

Verdict = Literal["supported", "contradicted", "undecided"]
Unit = Literal["points", "ratio", "points per doubling"]


class Witness:
    """Looks scores up for one statistic and remembers which cells it asked."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self.cells: list[str] = []
        """Every cell asked, as model/suite/length[/format][/depth]."""

    def ruler(self, model: ShownModel, length: int) -> Interval:
        """The RULER mean of a model at a length."""
        self.cells.append(f"{model.name}/ruler/{length}")
        return interval(self._evidence.ruler(model, length))

    def by_depth(
        self, model: ShownModel, length: int, *, depths: Sequence[int] = DEPTHS
    ) -> dict[int, Estimate]:
        """The mean over formats at every one of these depths."""
        found = {
            depth: self._evidence.over_formats(model, depth=depth, length=length)
            for depth in depths
        }
        self.cells += [f"{model.name}/depth/{length}/{depth}" for depth in found]
        return found

    def form(self, model: ShownModel, form: str, *lengths: int) -> Interval:
        """One needle format, averaged over lengths and the depths of the table by format.

        These share their needles, so their intervals add plainly, which covers any correlation.
        """
        parts = [
            self._evidence.depth(model, form, depth=depth, length=length)
            for length in lengths
            for depth in FORMAT_DEPTHS
        ]
        self.cells += [
            f"{model.name}/depth/{length}/{form}/{depth}"
            for length in lengths
            for depth in FORMAT_DEPTHS
        ]
        return interval(macro_mean(parts, independent=False))


@dataclass(frozen=True, kw_only=True)
class Test:
    """One statistic that bears on a claim, not yet computed."""

    subject: str
    quantity: str
    unit: Unit = "points"
    measure: Callable[[Witness], Interval]
    judge: Callable[[Interval], Verdict]


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """A statistic with its interval and what it says about the claim."""

    subject: str
    quantity: str
    unit: Unit
    interval: Interval
    verdict: Verdict
    cells: tuple[str, ...]


Combine = Callable[[Sequence[Verdict]], Verdict]


def below(limit: float) -> Callable[[Interval], Verdict]:
    """A judge who supports a claim when all of the interval lies below `limit`."""
    return lambda found: _judge(holds=found.high < limit, fails=found.low > limit)


def above(limit: float) -> Callable[[Interval], Verdict]:
    """A judge who supports a claim when all of the interval lies above `limit`."""
    return lambda found: _judge(holds=found.low > limit, fails=found.high < limit)


def lowered(*, by: float) -> Callable[[Interval], Verdict]:
    """A judge who supports a claim of `less than 0`, and calls less than `by` no difference."""
    return lambda found: _judge(holds=found.high < 0, fails=found.low > -by)


def every(verdicts: Sequence[Verdict]) -> Verdict:
    """One counterexample contradicts; all together support."""
    return _judge(
        holds=all(verdict == "supported" for verdict in verdicts),
        fails="contradicted" in verdicts,
    )


def some(verdicts: Sequence[Verdict]) -> Verdict:
    """One example supports; only all together contradict."""
    return _judge(
        holds="supported" in verdicts,
        fails=all(verdict == "contradicted" for verdict in verdicts),
    )


def mixed(verdicts: Sequence[Verdict]) -> Verdict:
    """Examples on both sides support; all on one side contradict."""
    found = set(verdicts)
    return _judge(
        holds={"supported", "contradicted"} <= found,
        fails=found in ({"supported"}, {"contradicted"}),
    )


def carry_out(tests: Iterable[Test], evidence: Evidence) -> tuple[list[Statistic], list[str]]:
    """Every statistic that the evidence allows, and why each other one could not be computed."""
    statistics, missing = [], []
    for test in tests:
        witness = Witness(evidence)
        try:
            found = test.measure(witness)
        except RecordError as error:
            missing.append(f"{test.subject}, {test.quantity}: {error}")
            continue
        statistics.append(
            Statistic(
                subject=test.subject,
                quantity=test.quantity,
                unit=test.unit,
                interval=found,
                verdict=test.judge(found),
                cells=tuple(dict.fromkeys(witness.cells)),
            )
        )
    return statistics, missing


def _judge(*, holds: bool, fails: bool) -> Verdict:
    if holds:
        return "supported"
    return "contradicted" if fails else "undecided"
