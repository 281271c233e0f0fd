"""What every answer of a study is, and how far before the question its needle lies.

One row a sample, joined from predictions, samples and details; no answer is computed again.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from needlework.errors import RecordError
from needlework.files import read_records
from needlework.records import PlacedDetail, Prediction, Sample
from needlework.scores.cells import read_parquet
from needlework.scores.failures import KINDS, graded, prompt_of, wrong_kind
from needlework.scores.likelihood import LIKELIHOOD, columns, fault
from needlework.scores.remarks import write
from needlework.study.grid import Cell, Grid
from needlework.tasks import metrics
from needlework.tasks.specs import NiahSpec, Spec

DIAGNOSES = pl.Schema(
    {
        "model": pl.String,
        "suite": pl.String,
        "task": pl.String,
        "length": pl.Int64,
        "index": pl.Int64,
        "score": pl.Float64,
        "kind": pl.String,
        "distance": pl.Int64,
    }
)
"""`distance`: how many tokens before the question the needle begins that holds the answer; none
where no needle does, or several do."""

LIKELY = pl.Schema({**DIAGNOSES, **LIKELIHOOD})
"""The columns of a study that asks for likelihoods."""

Row = dict[str, Any]
Tasks = Mapping[str, Mapping[str, Spec]]
"""The tasks of every suite, by name."""


def diagnose(
    cells: Sequence[Cell], study: Path, output: Path, *, prompts: Mapping[str, str], tasks: Tasks
) -> None:
    """Write one row per answer of these cells, from the folder of a study.

    `prompts` names the folder of each model's samples.

    Raises:
        RecordError: a file is damaged, or answers and samples do not belong together.
    """
    found: dict[tuple[Cell, str], list[Row]] = {}
    groups: dict[tuple[str, int], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((prompts[cell.model], cell.length), []).append(cell)
    for (folder, length), alike in groups.items():
        answers = {cell: _answers(_file(study, cell), cell, tasks[cell.suite]) for cell in alike}
        for task in dict.fromkeys(task for cell in alike for task in tasks[cell.suite]):
            dataset = _dataset(study / "data" / folder / str(length) / f"{task}.jsonl")
            for cell in alike:
                if task in tasks[cell.suite]:
                    asked = (_asked(study, cell, each, dataset) for each in answers[cell][task])
                    pairs = zip(answers[cell][task], asked, strict=True)
                    spec = tasks[cell.suite][task]
                    found[cell, task] = [_row(cell, each, about, spec) for each, about in pairs]
    ordered = [row for cell in cells for task in tasks[cell.suite] for row in found[cell, task]]
    is_likely = any(row["nats"] is not None for row in ordered)
    write(pl.DataFrame(ordered, schema=LIKELY if is_likely else DIAGNOSES), output)


def read_diagnoses(path: Path, grid: Grid) -> pl.DataFrame:
    """The rows of a file of diagnoses of the study with this grid.

    Raises:
        RecordError: the file is absent, damaged, of other columns or of another study; names it.
    """
    frame = read_parquet(path)
    problem = _problem(frame, grid)
    if problem is not None:
        raise RecordError(f"{path}: {problem}; delete it and rerun snakemake")
    return frame


def read_likelihoods(path: Path, grid: Grid) -> pl.DataFrame:
    """The same of a study that asked for likelihoods.

    Raises:
        RecordError: as `read_diagnoses`, or it did not ask, or all of its samples failed.
    """
    frame = read_diagnoses(path, grid)
    if frame.schema != LIKELY:
        raise RecordError(
            f"{path}: holds no likelihoods; set likelihood: true in the study, and rerun snakemake"
        )
    return frame


def _problem(frame: pl.DataFrame, grid: Grid) -> str | None:
    """Why these are no diagnoses of a study; None where they are."""
    if frame.schema not in (DIAGNOSES, LIKELY):
        return "has other columns than a file of diagnoses"
    if problem := fault(frame):
        return problem
    place = ["model", "suite", "length", "task"]
    asked = [(*cell, task) for cell in grid.cells() for task in grid.suites[cell.suite].names()]
    known = pl.DataFrame(asked, schema={name: DIAGNOSES[name] for name in place}, orient="row")
    strange = frame.join(known, on=place, how="anti", nulls_equal=True).select(place)
    if strange.height:
        return f"{'/'.join(map(str, strange.row(0)))} is nothing that the study asks for"
    is_kind = pl.col("kind").is_in(KINDS).fill_null(value=False)
    is_place = (pl.col("distance") >= 0).fill_null(value=True)
    is_score = pl.col("score").is_between(0, 1).fill_null(value=True)
    is_twice = pl.struct(*place, "index").is_duplicated()
    wrong = frame.filter(~(is_kind & is_place & is_score) | is_twice).select(*place, "index")
    if wrong.height:
        return f"{'/'.join(map(str, wrong.row(0)))} has no diagnosis, or two"
    return None


Dataset = Mapping[int, tuple[Sample, PlacedDetail]]
"""The samples of a task at a length by index."""


def _dataset(path: Path) -> Dataset:
    samples = read_records(path, Sample)
    details = read_records(path.with_suffix(".details.jsonl"), PlacedDetail)
    if [sample.index for sample in samples] != [detail.index for detail in details]:
        raise RecordError(f"{path}: samples and details differ; delete both and rerun snakemake")
    pairs = zip(samples, details, strict=True)
    return {sample.index: (sample, detail) for sample, detail in pairs}


def _file(study: Path, cell: Cell) -> Path:
    return study / "predictions" / cell.model / cell.suite / f"{cell.length}.jsonl"


def _asked(
    study: Path, cell: Cell, answer: Prediction, dataset: Dataset
) -> tuple[Sample, PlacedDetail]:
    """The sample that an answer is about."""
    found = dataset.get(answer.index)
    if found is None or found[0].outputs != answer.outputs or not _compares(answer, *found):
        raise RecordError(
            f"{_file(study, cell)}: {answer.task} #{answer.index} answers no sample of the study; "
            "delete the file and rerun snakemake"
        )
    return found


def _compares(answer: Prediction, sample: Sample, detail: PlacedDetail) -> bool:
    """Whether the likelihoods of an answer, if it has some, are of the texts of its sample."""
    told = answer.likelihood
    if told is None:
        return True
    right, wrong = ([each.text for each in texts] for texts in (told.references, told.distractors))
    return right == [*sample.outputs] and wrong == [*(detail.distractors or ())]


def _answers(path: Path, cell: Cell, tasks: Mapping[str, Spec]) -> dict[str, list[Prediction]]:
    """The answers of a cell by task."""
    found: dict[str, list[Prediction]] = {task: [] for task in tasks}
    for each in read_records(path, Prediction):
        if each.task not in found:
            raise RecordError(f"{path}: {each.task!r} is no task of suite {cell.suite}")
        found[each.task].append(each)
    return found


def _row(cell: Cell, answer: Prediction, asked: tuple[Sample, PlacedDetail], spec: Spec) -> Row:
    sample, detail = asked
    failed = answer.stop_reason == "failed"
    score = None if failed else metrics.score(answer.pred, answer.outputs, metric=spec.metric)
    kind = graded(score)
    if kind is None:
        hay_is_needles = isinstance(spec, NiahSpec) and spec.haystack == "needle"
        prompt = prompt_of(sample, detail, hay_is_needles=hay_is_needles)
        kind = wrong_kind(answer.pred, answer.outputs, prompt)
    distances = detail.distances()
    return {
        **cell._asdict(),
        "task": answer.task,
        "index": answer.index,
        "score": score,
        "kind": kind,
        "distance": distances[0] if len(distances) == 1 else None,
        **columns(answer.likelihood),
    }
