"""Tests of claims about lengths: where a score drops (C1), and along which line (C9)."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import log2

from needlework.errors import RecordError
from needlework.paper.claim_tests import NOTABLE, Roster, present
from needlework.paper.verdicts import Test, Witness, above, below
from needlework.statistics.contrasts import Interval, contrast, difference, widened
from needlework.study.shown import ShownModel

STEEP = 0.10
"""A steep drop: more than 10 points."""
FALL = ": a drop of more than 10 points?"
TRAINED_AT = {"recurrentgemma": 8192, "recurrentgemma-it": 8192}
"""Where the length that the paper treats as trained is the model's window: the one it was trained
at (arXiv:2404.07839). Both are told."""
EXCEPTED = ("rwkv6",)
"""What the paper itself excepts from C1: it falls steadily (C9)."""


def drop_beyond(roster: Roster, lengths: Sequence[int]) -> Iterator[Test]:
    """C1: where the steepest drop is of every model but the excepted; beside it how deep it is."""
    for role, model in roster.items():
        others = [TRAINED_AT[model.name]] if model.name in TRAINED_AT else []
        for trained in (model.trained_length, *others):
            beside = role in EXCEPTED or trained in others
            told = f" if trained at {trained}" if trained in others else ""
            yield _steepest(model, lengths, trained=trained, told=told, beside=beside)
            yield _fall(model, trained=trained, told=told)


def _steepest(
    model: ShownModel, lengths: Sequence[int], *, trained: int, told: str, beside: bool
) -> Test:
    """Whether the largest drop of a doubling lies beyond a training length."""
    doublings = list(pairwise(lengths))
    inside = [each for each in doublings if each[1] <= trained]
    beyond = [each for each in doublings if each[0] >= trained]

    def measure(witness: Witness) -> Interval:
        if not inside or not beyond:
            raise RecordError(f"no doubling of the length on both sides of {trained}")
        scores = {length: witness.ruler(model, length) for each in doublings for length in each}

        def drop(each: tuple[int, int]) -> float:
            return (scores[each[0]].value - scores[each[1]].value) / log2(each[1] / each[0])

        first, last = max(inside, key=drop), max(beyond, key=drop)
        weights = dict.fromkeys(scores, 0.0)
        for each, sign in ((last, 1), (first, -1)):
            weights[each[0]] += sign / log2(each[1] / each[0])
            weights[each[1]] -= sign / log2(each[1] / each[0])
        found = contrast(list(weights.values()), list(scores.values()))
        return widened(found, choices=len(beyond))

    return Test(
        subject=model.label + told,
        quantity=f"steepest drop of RULER per doubling beyond {trained}, minus that up to it",
        measure=measure,
        judge=above(0),
        beside=beside,
    )


def _fall(model: ShownModel, *, trained: int, told: str) -> Test:
    """How much a model loses from a training length to twice that."""

    def measure(witness: Witness) -> Interval:
        return difference(witness.ruler(model, 2 * trained), witness.ruler(model, trained))

    return Test(
        subject=model.label + told,
        quantity=f"RULER at {2 * trained} minus at {trained}{FALL}",
        measure=measure,
        judge=below(-STEEP),
        beside=True,
    )


def straight_line(roster: Roster, lengths: Sequence[int]) -> Iterator[Test]:
    """C9: the slope of RWKV over doublings of the length, and its distance from a line.

    Beside them the same from the training length on.
    """
    models = present(roster, "rwkv6")
    yield from _line(models, lengths, told="", beside=False)
    for model in models:
        after = [length for length in lengths if length >= model.trained_length]
        if len(after) < len(lengths):
            yield from _line([model], after, told=" from the training length on", beside=True)


def _line(
    models: Sequence[ShownModel], lengths: Sequence[int], *, told: str, beside: bool
) -> Iterator[Test]:
    doublings = [log2(length) for length in lengths]
    centre = sum(doublings) / max(1, len(doublings))
    spread = sum((x - centre) ** 2 for x in doublings)
    slope = [(x - centre) / spread for x in doublings] if spread else []
    for model in models if len(lengths) > 2 else []:

        def steepness(witness: Witness, model: ShownModel = model) -> Interval:
            return contrast(slope, [witness.ruler(model, length) for length in lengths])

        def deviation(witness: Witness, model: ShownModel = model) -> Interval:
            scores = [witness.ruler(model, length) for length in lengths]
            bends = [contrast(weights, scores) for weights in _residuals(doublings, slope)]
            largest = max(bends, key=lambda bend: abs(bend.value))
            bend = largest if largest.value > 0 else contrast((-1,), (largest,))
            return widened(bend, choices=len(bends))

        yield Test(
            subject=model.label,
            quantity=f"slope of RULER over log2 of the length{told}",
            unit="points per doubling",
            measure=steepness,
            judge=below(0),
            beside=beside,
        )
        yield Test(
            subject=model.label,
            quantity=f"largest distance of RULER from the fitted line{told}",
            measure=deviation,
            judge=below(NOTABLE),
            beside=beside,
        )


def _residuals(doublings: Sequence[float], slope: Sequence[float]) -> Iterator[list[float]]:
    """Weights that turn scores into distances from the least-squares line, one row a length."""
    count = len(doublings)
    centre = sum(doublings) / count
    for place, x in enumerate(doublings):
        yield [
            (place == other) - 1 / count - (x - centre) * weight
            for other, weight in enumerate(slope)
        ]
