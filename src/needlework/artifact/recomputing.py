"""`needlework review --recompute N`: some answers of every cell, given again by its model.

Knows where an artifact has questions and answers; how answers are compared is the business of
`engine.asking_again`. Code of a stranger's is never run, whatever the artifact says of trusting it.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from needlework.artifact import reading, replanning
from needlework.artifact.bundle import STUDY
from needlework.artifact.review import Recomputed
from needlework.engine.asking_again import Again, Answering, Stored, chosen
from needlework.engine.predict import Machine, Model
from needlework.errors import NeedleworkError
from needlework.files import read_records
from needlework.records import Prediction, Sample
from needlework.statistics.means import estimate
from needlework.study import variants
from needlework.study.grid import Cell
from needlework.study.plan import Plan
from needlework.tasks.prompts import CHAT

QUOTED = 60
"""Characters of an answer that are shown."""


@dataclass(frozen=True, kw_only=True)
class Asking:
    """How many answers of a cell are asked for again, which, and on what."""

    count: int
    seed: int
    machine: Machine

    def __call__(self, artifact: Path) -> Recomputed:
        """Ask every model of an artifact; what nobody could ask is told, and is no problem."""
        try:
            plan = replanning.planned_again(artifact)
        except NeedleworkError as error:
            told = f"nobody was asked again: {reading.plain(error, artifact)}"
            return Recomputed((), (told,), {})
        problems: list[str] = []
        drawn = f"{self.count} samples of every cell, drawn with --seed {self.seed}"
        remarks = [f"asked again: {drawn}"]
        left: Counter[str] = Counter()
        for model, cells in groupby(plan.cells(), key=lambda cell: cell.model):
            own = list(cells)
            try:
                found = list(self._of_model(artifact, plan, model, own))
            except (NeedleworkError, OSError) as error:
                remarks.append(f"{model} was not asked again: {reading.plain(error, artifact)}")
                left[model] += _asked(plan, own)
                continue
            for cell, again in found:
                problems += _problems(cell, again)
                remarks.append(_agreement(cell, again))
                left[model] += _asked(plan, [cell]) - len(again)
        return Recomputed(tuple(problems), tuple(remarks), dict(left))

    def _of_model(
        self, artifact: Path, plan: Plan, model: str, cells: Sequence[Cell]
    ) -> Iterator[tuple[Cell, list[Again]]]:
        """The cells of a model with what it says now.

        Raises:
            NeedleworkError: it is not here, is another one, or would run a stranger's code.
        """
        answering = Answering(_named(plan, model), self.machine, plan.study.protocol)
        for cell in cells:
            stored = _stored(artifact, plan, cell)
            told = {each.prediction.others.get("revision") for each in stored}
            if told != {answering.revision}:
                raise NeedleworkError(
                    f"its weights are {answering.revision} here, and answers were given by "
                    f"{', '.join(map(str, sorted(map(str, told))))}; fetch those"
                )
            drawn = chosen(stored, self.count, seed=self.seed, place=cell.place)
            yield cell, answering.again(drawn)


def _named(plan: Plan, run: str) -> Model:
    """A model as `predict` is told of it."""
    entry = plan.models[run]
    if entry.trust_remote_code:
        raise NeedleworkError("its code comes with its checkpoint, and a review never runs that")
    tokenizer = plan.tokenizers[entry.tokenizer]
    return Model(
        checkpoint=entry.checkpoint,
        revision=entry.revision,
        tokenizer=tokenizer.source,
        tokenizer_revision=tokenizer.revision,
        dtype=entry.dtype,
        backend=entry.backend,
        hazards=tuple(variants.of_decoder(entry.hazards)),
        begin_token=getattr(entry.wrapper, plan.study.protocol) != CHAT,
    )


def _stored(artifact: Path, plan: Plan, cell: Cell) -> list[Stored]:
    """Every answer of a cell with its question.

    Raises:
        RecordError: a file is absent or damaged, or an answer is without its question.
    """
    study = artifact / STUDY
    questions = {
        (task, sample.index): sample
        for task in plan.tasks_of(cell)
        for sample in read_records(
            study / "data" / plan.prompts(cell.model) / str(cell.length) / f"{task}.jsonl", Sample
        )
    }
    found = read_records(study / f"predictions/{cell.place}.jsonl", Prediction)
    strange = [each for each in found if (each.task, each.index) not in questions]
    if strange:
        raise NeedleworkError(
            f"predictions/{cell.place}.jsonl: {strange[0].task!r} asks nothing here"
        )
    tasks = plan.tasks_of(cell)
    return [
        Stored(
            sample=questions[each.task, each.index],
            prediction=each,
            tokens_to_generate=tasks[each.task].tokens_to_generate,
            metric=tasks[each.task].metric,
        )
        for each in found
    ]


def _asked(plan: Plan, cells: Sequence[Cell]) -> int:
    """Answers that some cells hold."""
    return sum(plan.study.samples * len(plan.tasks_of(cell)) for cell in cells)


def _problems(cell: Cell, found: Sequence[Again]) -> Iterator[str]:
    """Answers that rounding does not explain."""
    for each in found:
        if each.outcome in ("other", "failed"):
            stored = each.stored.prediction
            place = f"predictions/{cell.place}.jsonl: {stored.task} #{stored.index}"
            why = (
                "one of them failed"
                if each.outcome == "failed"
                else f"{100 * each.margin:.2g} % of the largest logit apart, no rounding"
            )
            yield (
                f"{place}: is {stored.pred!r:.{QUOTED}}, but the model answers "
                f"{each.answer!r:.{QUOTED}} ({why})"
            )


def _agreement(cell: Cell, found: Sequence[Again]) -> str:
    """How many answers of a cell are the same, as a proportion with its interval."""
    same = estimate([float(each.outcome == "same") for each in found])
    near = sum(each.outcome == "near" for each in found)
    rounding = f", {near} more part where two tokens are equally likely" if near else ""
    return (
        f"{cell.place}: {100 * same.mean:.0f} % "
        f"[{100 * same.low:.0f}, {100 * same.high:.0f}] of {same.count} answers are the same"
        f"{rounding}"
    )
