"""How a claim is tested: a statistic, its interval, and the verdict that follows.

Where the paper gives no limit for a word ("steeply", "extrapolates", "about"), ours stands here by
name.
"""

from collections.abc import Iterator, Sequence
from itertools import product

from needlework.analysis.depth_effects import ENDS, MIDDLE, lost_in_the_middle, trend
from needlework.errors import RecordError
from needlework.paper.verdicts import Test, Witness, above, below, lowered, within
from needlework.statistics.contrasts import Interval, average, difference, ratio
from needlework.study.paper import FORMATS
from needlework.study.shown import ShownModel

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

AGAIN = (0, 50, 100)
"""Depths at which published means are over the same formats at every depth."""

Roster = dict[str, ShownModel]
"""The models of a study by the role they play."""


def present(roster: Roster, *roles: str) -> list[ShownModel]:
    """The models of a study that play these roles."""
    return [roster[role] for role in roles if role in roster]


def _retained(witness: Witness, model: ShownModel) -> Interval:
    """The share of its RULER score that a model keeps at twice its training length.

    Raises:
        RecordError: a score is missing, or the one at the training length is 0, or may be less.
    """
    return _share(
        witness.ruler(model, 2 * model.trained_length), witness.ruler(model, model.trained_length)
    )


def _share(part: Interval, whole: Interval) -> Interval:
    if whole.value == 0:
        raise RecordError("the score at the training length is 0, so no share of it can be kept")
    if whole.low < 0:
        raise RecordError(
            "at the training length references may come first by chance alone, so no share of "
            "what is beyond chance can be kept"
        )
    return ratio(part, whole)


def linear_keeps_more(roster: Roster, _: Sequence[int]) -> Iterator[Test]:
    """C2: what linear models keep, less what attention keeps."""
    linear, attention = present(roster, *LINEAR), present(roster, *ATTENTION)

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


def hybrid_order(roster: Roster, lengths: Sequence[int]) -> Iterator[Test]:
    """C3: what each hybrid scores, less what each linear model scores, at every length."""
    pairs = product(present(roster, *HYBRID), present(roster, *LINEAR))
    for (hybrid, linear), length in product(pairs, lengths):

        def measure(
            witness: Witness,
            hybrid: ShownModel = hybrid,
            linear: ShownModel = linear,
            length: int = length,
        ) -> Interval:
            return difference(witness.ruler(hybrid, length), witness.ruler(linear, length))

        yield Test(
            subject=f"{hybrid.label} against {linear.label}",
            quantity=f"RULER at {length}: is the hybrid ahead?",
            measure=measure,
            judge=above(0),
        )


def _middle(
    models: Sequence[ShownModel],
    *,
    times: int,
    part: str = "",
    middle: tuple[int, ...] = MIDDLE,
    beside: bool = False,
) -> Iterator[Test]:
    """The middle beside each end, of each of these models."""
    depths = f"depths {middle[0]} to {middle[-1]}" if len(middle) > 1 else f"depth {middle[0]}"
    for model, (place, end) in product(models, enumerate(ENDS)):

        def measure(witness: Witness, model: ShownModel = model, place: int = place) -> Interval:
            length = times * model.trained_length
            scores = witness.by_depth(model, length, depths=(*ENDS, *middle))
            return lost_in_the_middle(scores, middle=middle)[place]

        yield Test(
            subject=model.label,
            quantity=f"{depths} minus depth {end} at {times * model.trained_length}",
            measure=measure,
            judge=lowered(by=NOTABLE),
            part=part,
            needs_room=True,
            beside=beside,
        )


def middle_in_range(roster: Roster, _: Sequence[int]) -> Iterator[Test]:
    """C4: the lost middle at the training length, of every model; beside it of like columns."""
    yield from _middle(list(roster.values()), times=1)
    yield from _middle(list(roster.values()), times=1, middle=(50,), beside=True)


def middle_beyond(roster: Roster, _: Sequence[int]) -> Iterator[Test]:
    """C5: the lost middle of the Mamba models at twice the length, and the others' depth trend."""
    yield from _middle(present(roster, "mamba2", "mamba2attn"), times=2)
    for model in present(roster, "recurrentgemma", "recurrentgemma-it", "rwkv6"):

        def measure(witness: Witness, model: ShownModel = model) -> Interval:
            return trend(witness.by_depth(model, 2 * model.trained_length, depths=AGAIN))

        yield Test(
            subject=model.label,
            quantity=f"depth 100 minus depth 0 at {2 * model.trained_length}",
            measure=measure,
            judge=within(NOTABLE),
            needs_room=True,
        )


def only_repeat(roster: Roster, _: Sequence[int]) -> Iterator[Test]:
    """C6: what Mamba2 keeps, by format."""
    for model, form in product(present(roster, "mamba2"), FORMATS):

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
    for model, form in product(present(roster, "mamba2attn"), FORMATS):

        def score(witness: Witness, model: ShownModel = model, form: str = form) -> Interval:
            return witness.form(model, form, 2 * model.trained_length)

        yield Test(
            subject=f"{model.label}, {form}",
            quantity="score at 2x the training length",
            measure=score,
            judge=above(SOME_DEGREE),
            part="beyond",
        )
    for hybrid, linear in product(present(roster, "mamba2attn"), present(roster, "mamba2")):

        def gap(
            witness: Witness, hybrid: ShownModel = hybrid, linear: ShownModel = linear
        ) -> Interval:
            return difference(_in_range(witness, hybrid), _in_range(witness, linear))

        yield Test(
            subject=f"{hybrid.label} against {linear.label}",
            quantity="mean over the formats up to the training length, difference",
            measure=gap,
            judge=below(0),
            part="in range",
            needs_room=True,
        )


def _in_range(witness: Witness, model: ShownModel) -> Interval:
    lengths = (model.trained_length // 2, model.trained_length)
    return average([witness.form(model, form, *lengths) for form in FORMATS])


def only_trained(roster: Roster, _: Sequence[int]) -> Iterator[Test]:
    """C8: TPP beside its best rival, at its training length and away from it, by format."""
    rivals = [model for role, model in roster.items() if role != "transformerpp"]
    for model, form in product(present(roster, "transformerpp"), FORMATS):
        trained = model.trained_length
        for length in (trained // 2, trained, 2 * trained):

            def measure(
                witness: Witness, model: ShownModel = model, form: str = form, length: int = length
            ) -> Interval:
                best = max(_measured(witness, rivals, form, length))
                return difference(witness.form(model, form, length), best)

            yield Test(
                subject=f"{model.label}, {form}",
                quantity=f"score at {length} minus that of the best rival",
                measure=measure,
                judge=(above if length == trained else below)(0),
                part="trained" if length == trained else "elsewhere",
                needs_room=True,
            )


def _measured(
    witness: Witness, models: Sequence[ShownModel], form: str, length: int
) -> list[Interval]:
    """The scores of those models that were measured.

    Raises:
        RecordError: none was.
    """
    found = []
    for model in models:
        try:
            found.append(witness.form(model, form, length))
        except RecordError as error:
            lacking = error
    if not found:
        raise lacking if models else RecordError("no other model is measured")
    return found


def _labels(models: Sequence[ShownModel]) -> str:
    return "{" + ", ".join(model.label for model in models) + "}"
