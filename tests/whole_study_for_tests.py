"""A whole study's folder without any model: samples, answers and scores from a fixed stream."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic_core import to_json

from needlework.cost.study import parts
from needlework.files import write_records, write_text
from needlework.records import (
    Continuation,
    Likelihood,
    PlacedDetail,
    Prediction,
    Sample,
    Span,
)
from needlework.rng import stream
from needlework.scores import cells, diagnoses
from needlework.study.grid import Cell
from needlework.study.plan import Plan
from needlework.tasks.specs import NiahSpec, Spec
from tests.study_for_tests import small_plan

SKILL = {"nano-mamba2": 0.75, "nano-llama": 0.9, "nano-transformerpp": 0.6}
WORDS = ("river", "stone", "carpet", "window", "shadow", "barley", "candle", "turtle")
LENGTHS = [128, 256, 512]


def make_study(folder: Path, *, samples: int, models: tuple[str, ...] = tuple(SKILL)) -> Plan:
    """Write data, predictions, scores, cells and plan of a study below `folder`/nano."""
    suites = {suite: {"lengths": LENGTHS} for suite in ("ruler", "depth")}
    plan = small_plan(study="nano", samples=samples, models=list(models), suites=suites)
    fill(plan, folder / "nano")
    return plan


def fill(plan: Plan, study: Path) -> None:
    """Write all that a plan's pages are made from into the folder of its study."""
    samples = plan.study.samples
    for dataset in plan.datasets():
        path = study / "data" / dataset.prompts / str(dataset.length) / f"{dataset.task}.jsonl"
        pairs = [_sample(dataset.task, dataset.length, index) for index in range(samples)]
        write_records(path, [sample for sample, _ in pairs])
        details = [detail for _, detail in pairs]
        if plan.study.likelihood:
            wrong = _wrong(plan.all_tasks[dataset.task])
            details = [each.model_copy(update={"distractors": wrong}) for each in details]
        write_records(path.with_suffix(".details.jsonl"), details)
    for cell in plan.cells():
        _answer(plan, study, cell)
    for part, content in parts(plan).items():
        write_text(study / "plan" / f"{part}.json", to_json(content).decode() + "\n")
    collect(plan, study)


def collect(plan: Plan, study: Path) -> None:
    """Write the study's rows, estimates and diagnoses from its files."""
    diagnoses.diagnose(
        plan.grid().cells(),
        study,
        study / "diagnosis.parquet",
        prompts={model.name: model.prompts for model in plan.shown()},
        tasks=plan.tasks,
    )
    cells.collect(
        plan.grid().cells(),
        study / "scores",
        scores=study / "scores.parquet",
        estimates=study / "estimates.parquet",
    )


def _answer(plan: Plan, study: Path, cell: Cell) -> None:
    tasks = plan.tasks_of(cell)
    path = study / "predictions" / cell.model / cell.suite / f"{cell.length}.jsonl"
    found = _predictions(cell, tasks, samples=plan.study.samples)
    if plan.study.likelihood:
        found = (_likely(each, tasks[each.task]) for each in found)
    write_records(path, found)
    cells.score_cell(
        path,
        study / "scores" / cell.model / cell.suite / f"{cell.length}.parquet",
        cell=cell,
        tasks=tasks,
        samples=plan.study.samples,
    )


def _wrong(spec: Spec) -> tuple[str, ...]:
    """Distractors, of needles alone."""
    return ("1000", "1001") if isinstance(spec, NiahSpec) else ()


def _likely(answer: Prediction, spec: Spec) -> Prediction:
    """The same with likelihoods, where it did not fail."""
    draw = stream(2, answer.task, answer.index, answer.prompt_tokens, answer.pred)

    def texts(words: Sequence[str]) -> tuple[Continuation, ...]:
        return tuple(
            Continuation(text=word, tokens=2, nats=-draw.randint(1, 160) / 16) for word in words
        )

    told = Likelihood(references=texts(answer.outputs), distractors=texts(_wrong(spec)))
    return answer.model_copy(update={"likelihood": None if answer.error else told})


def _predictions(cell: Cell, tasks: dict[str, Spec], *, samples: int) -> Iterator[Prediction]:
    for task in tasks:
        for index in range(samples):
            sample, detail = _sample(task, cell.length, index)
            draw = stream(1, cell.model, task, cell.length, index)
            known = [word for word in sample.outputs if draw.random() < SKILL.get(cell.model, 0.7)]
            failed = draw.random() < 0.01
            yield Prediction(
                task=task,
                index=index,
                pred="" if failed else f"{' . '.join(known)} </b> & so on",
                outputs=sample.outputs,
                stop_reason="failed" if failed else "limit",
                error="the logits are not numbers" if failed else None,
                prompt_tokens=detail.prompt_tokens + 1,
                shared_tokens=detail.prompt_tokens // 2,
                generated_tokens=5,
                others={"revision": cell.model},
            )


def _sample(task: str, length: int, index: int) -> tuple[Sample, PlacedDetail]:
    draw = stream(0, task, length, index)
    references = tuple(
        str(draw.randint(100, 999)) for _ in range(3 if task in ("vt", "fwe") else 1)
    )
    needle = f"the magic number of {draw.choice(WORDS)} {' '.join(references)} ."
    hay = [draw.choice(WORDS) for _ in range(length - 20)]
    place = draw.randrange(len(hay))
    before = " ".join(hay[:place]) + " "
    question = "what is the magic number ? the magic number of"
    text = f"{before}{needle} {' '.join(hay[place:])} "
    return (
        Sample(index=index, input=text + question, outputs=references, length=length),
        PlacedDetail(
            index=index,
            prompt_tokens=length - 6,
            depths=(100 * place / len(hay),),
            needles=(Span(start=len(before), end=len(before) + len(needle)),),
            answers=(True,),
            question_start=len(text),
            needle_tokens=(Span(start=place, end=place + len(needle.split())),),
            question_token=len(text.split()),
        ),
    )
