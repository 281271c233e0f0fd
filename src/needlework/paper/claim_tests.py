"""How a claim is tested: a statistic, its interval, and the verdict that follows.

Where the paper gives no limit for a word ("steeply", "extrapolates", "about"), ours stands here by
name.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from math import log2

from needlework.analysis.depth_effects import ENDS, MIDDLE, largest_gap, lost_in_the_middle
from needlework.errors import RecordError
from needlework.paper.verdicts import Test, Witness, above, below, lowered
from needlework.statistics.contrasts import Interval, average, contrast, difference, ratio, widened
from needlework.study.config import ShownModel
from needlework.study.paper import FORMATS

STEEP = 0.10
"""A steep drop: more than 10 points."""
NOTABLE = 0.05
"""A difference over depths or from a line that is worth a word: 5 points."""
EXTRAPOLATES = 0.5
"""A model extrapolates when it keeps half of its score at twice its training length."""
SOME_DEGREE = 0.05
"""To some degree: more than 5 points at twice its training length."""

ROLES = {
    "nano-mamba2": "mamba2",
    "nano-mamba2attn": "mamba2attn",
    "nano-transformerpp": "transformerpp",
    "nano-griffin": "recurrentgemma",
    "nano-llama": "sheared-llama",
    "nano-rwkv6": "rwkv6",
}
"""Which model of the paper a small one stands for; every other name stands for itself."""
LINEAR, HYBRID, ATTENTION = (
    ("mamba2", "rwkv6"),
    ("mamba2attn", "recurrentgemma"),
    ("transformerpp", "sheared-llama"),
)

Roster = dict[str, ShownModel]
"""The models of a study by the role they play."""


def _present(roster: Roster, *roles: str) -> list[ShownModel]:
    return [roster[role] for role in roles if role in roster]


def _retained(witness: Witness, model: ShownModel) -> Interval:
    """The share of its RULER score that a model keeps at twice its training length.

    Raises:
        RecordError: a score is missing, or the one at the training length is 0.
    """
    return _share(
        witness.ruler(model, 2 * model.trained_length), witness.ruler(model, model.trained_length)
    )


def _share(part: Interval, whole: Interval) -> Interval:
    if whole.value == 0:
        raise RecordError("the score at the training length is 0, so no share of it can be kept")
    return ratio(part, whole)


def drop_beyond(roster: Roster, _: Sequence[int]) -> Iterator[Test]:
    """C1: the drop from the training length to twice that, of every model."""
    for model in roster.values():

        def measure(witness: Witness, model: ShownModel = model) -> Interval:
            trained = model.trained_length
            return difference(witness.ruler(model, 2 * trained), witness.ruler(model, trained))

        yield Test(
            subject=model.label,
            quantity=f"RULER at {2 * model.trained_length} minus at {model.trained_length}",
            measure=measure,
            judge=below(-STEEP),
        )


def linear_keeps_more(roster: Roster, _: Sequence[int]) -> Iterator[Test]:
    """C2: what linear models keep, less what attention keeps."""
    linear, attention = _present(roster, *LINEAR), _present(roster, *ATTENTION)

    def measure(witness: Witness) -> Interval:
        groups = ([_retained(witness, model) for model in group] for group in (linear, attention))
        first, second = map(average, groups)
        return difference(first, second)

    if linear and attention:
        yield Test(
            subject=f"{_labels(linear)} against {_labels(attention)}",
            quantity="mean share of RULER kept at 2x the training length, difference",
            unit="ratio",
            measure=measure,
            judge=above(0),
        )


def hybrid_order(roster: Roster, _: Sequence[int]) -> Iterator[Test]:
    """C3: what each hybrid keeps, less what each linear model keeps."""
    for hybrid, linear in product(_present(roster, *HYBRID), _present(roster, *LINEAR)):

        def measure(
            witness: Witness, hybrid: ShownModel = hybrid, linear: ShownModel = linear
        ) -> Interval:
            return difference(_retained(witness, hybrid), _retained(witness, linear))

        yield Test(
            subject=f"{hybrid.label} against {linear.label}",
            quantity="share of RULER kept at 2x the training length: is the hybrid ahead?",
            unit="ratio",
            measure=measure,
            judge=above(0),
        )


def _middle(models: Sequence[ShownModel], *, times: int) -> Iterator[Test]:
    for model in models:

        def measure(witness: Witness, model: ShownModel = model) -> Interval:
            length = times * model.trained_length
            return lost_in_the_middle(witness.by_depth(model, length, depths=(*ENDS, *MIDDLE)))

        yield Test(
            subject=model.label,
            quantity=f"depths 40 to 60 minus both ends at {times * model.trained_length}",
            measure=measure,
            judge=lowered(by=NOTABLE),
        )


def middle_in_range(roster: Roster, _: Sequence[int]) -> Iterator[Test]:
    """C4: the lost middle at the training length, of every model."""
    yield from _middle(list(roster.values()), times=1)


def middle_beyond(roster: Roster, _: Sequence[int]) -> Iterator[Test]:
    """C5: the lost middle of Mamba2 at twice the length, and the depth trend of two others."""
    yield from _middle(_present(roster, "mamba2"), times=2)
    for model in _present(roster, "recurrentgemma", "rwkv6"):

        def measure(witness: Witness, model: ShownModel = model) -> Interval:
            return largest_gap(witness.by_depth(model, 2 * model.trained_length))[2]

        yield Test(
            subject=model.label,
            quantity=f"largest difference between two depths at {2 * model.trained_length}",
            measure=measure,
            judge=below(NOTABLE),
        )


def only_repeat(roster: Roster, _: Sequence[int]) -> Iterator[Test]:
    """C6: what Mamba2 keeps, by format."""
    for model, form in product(_present(roster, "mamba2"), FORMATS):

        def measure(witness: Witness, model: ShownModel = model, form: str = form) -> Interval:
            trained = model.trained_length
            return _share(
                witness.form(model, form, 2 * trained), witness.form(model, form, trained)
            )

        yield Test(
            subject=f"{model.label}, {form}",
            quantity="share of the score kept at 2x the training length",
            unit="ratio",
            measure=measure,
            judge=(above if form.startswith("repeat") else below)(EXTRAPOLATES),
        )


def always_some(roster: Roster, _: Sequence[int]) -> Iterator[Test]:
    """C7: what M2A scores beyond its training length, by format, and against Mamba2 within."""
    for model, form in product(_present(roster, "mamba2attn"), FORMATS):

        def score(witness: Witness, model: ShownModel = model, form: str = form) -> Interval:
            return witness.form(model, form, 2 * model.trained_length)

        yield Test(
            subject=f"{model.label}, {form}",
            quantity="score at 2x the training length",
            measure=score,
            judge=above(SOME_DEGREE),
        )
    for hybrid, linear in product(_present(roster, "mamba2attn"), _present(roster, "mamba2")):

        def gap(
            witness: Witness, hybrid: ShownModel = hybrid, linear: ShownModel = linear
        ) -> Interval:
            return difference(_in_range(witness, hybrid), _in_range(witness, linear))

        yield Test(
            subject=f"{hybrid.label} against {linear.label}",
            quantity="mean over the formats up to the training length, difference",
            measure=gap,
            judge=below(0),
        )


def _in_range(witness: Witness, model: ShownModel) -> Interval:
    lengths = (model.trained_length // 2, model.trained_length)
    return average([witness.form(model, form, *lengths) for form in FORMATS])


def only_trained(roster: Roster, _: Sequence[int]) -> Iterator[Test]:
    """C8: how far the training length stands out for TPP, by format."""
    for model, form in product(_present(roster, "transformerpp"), FORMATS):

        def measure(witness: Witness, model: ShownModel = model, form: str = form) -> Interval:
            trained = model.trained_length
            others = [witness.form(model, form, length) for length in (trained // 2, 2 * trained)]
            return difference(witness.form(model, form, trained), max(others))

        yield Test(
            subject=f"{model.label}, {form}",
            quantity="score at the training length minus the better of 0.5x and 2x",
            measure=measure,
            judge=above(0),
        )


def straight_line(roster: Roster, lengths: Sequence[int]) -> Iterator[Test]:
    """C9: the slope of RWKV over doublings of the length, and its distance from a line."""
    doublings = [log2(length) for length in lengths]
    centre = sum(doublings) / max(1, len(doublings))
    spread = sum((x - centre) ** 2 for x in doublings)
    slope = [(x - centre) / spread for x in doublings] if spread else []
    for model in _present(roster, "rwkv6") if len(lengths) > 2 else []:

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
            quantity="slope of RULER over log2 of the length",
            unit="points per doubling",
            measure=steepness,
            judge=below(0),
        )
        yield Test(
            subject=model.label,
            quantity="largest distance of RULER from the fitted line",
            measure=deviation,
            judge=below(NOTABLE),
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


def _labels(models: Sequence[ShownModel]) -> str:
    return "{" + ", ".join(model.label for model in models) + "}"
