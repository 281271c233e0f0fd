"""Published numbers beside a study's own, where the study measures the same models."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from needlework.errors import RecordError
from needlework.paper.evidence import Estimates, Published
from needlework.paper.published import Number
from needlework.statistics.contrasts import Interval, difference, interval
from needlework.statistics.means import Estimate
from needlework.study.shown import ShownModel

OVERALL = "ruler"


class Agreement(NamedTuple):
    """One printed number, ours, and whether chance explains their difference."""

    number: Number
    ours: Estimate
    published: Estimate
    difference: Interval
    """Ours minus published, as a share; both sides uncertain."""

    @property
    def is_inside(self) -> bool:
        """Whether the combined 95 % interval holds zero."""
        return self.difference.low <= 0 <= self.difference.high


def agreements(
    numbers: Sequence[Number], study: Estimates, models: Sequence[ShownModel], *, samples: int
) -> Iterator[Agreement]:
    """Every printed number, averages aside, that the study measured as well.

    Intervals of printed numbers are inferred from `samples` samples each.
    """
    published = Published(numbers, samples=samples)
    shown = {model.published_as: model for model in models}
    for number in numbers:
        if number.model in shown and not number.is_average:
            model = shown[number.model]
            try:
                ours = _estimate(study, model, number)
            except RecordError:
                continue
            theirs = _estimate(published, model, number)
            yield Agreement(number, ours, theirs, difference(interval(ours), interval(theirs)))


def _estimate(evidence: Estimates, model: ShownModel, number: Number) -> Estimate:
    """What some evidence says where a number is printed.

    Raises:
        RecordError: it says nothing.
    """
    assert number.length is not None, "averages have been left out"
    if number.depth is None:
        if number.task == OVERALL:
            return evidence.ruler(model, number.length)
        return evidence.task(model, number.task, number.length)
    if number.format:
        return evidence.depth(model, number.format, depth=number.depth, length=number.length)
    return evidence.over_formats(model, depth=number.depth, length=number.length)
