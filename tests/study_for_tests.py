"""A study of two models and what it might have scored, without any file."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from needlework.scores.cells import SCORES, CellEstimate
from needlework.scores.diagnoses import DIAGNOSES
from needlework.scores.estimates import Scores
from needlework.scores.failures import KINDS
from needlework.scores.paired import Paired
from needlework.statistics.means import Estimate, estimate
from needlework.study import plan
from needlework.study.definitions import FigureDefinition, TableDefinition
from needlework.study.plan import Plan
from needlework.tasks.specs import needle_format

CONFIG = Path(__file__).parents[1] / "config"
COUNT = 10


def study_keys(**changed: Any) -> dict[str, Any]:
    """The keys of a small study, some of them changed."""
    keys = {
        "study": "small",
        "seed": 1,
        "samples": COUNT,
        "protocol": "corrected",
        "material": "nano",
        "suites": {"ruler": {"lengths": [128, 256]}, "depth": {"lengths": [128, 256, 512]}},
        "models": ["nano-mamba2", "nano-llama"],
    }
    return keys | changed


def small_plan(**changed: Any) -> Plan:
    """The small study, resolved with the shipped models and tasks."""
    return plan.resolve(study_keys(**changed), CONFIG)


def right(count: int, *, of: int = COUNT, failed: int = 0) -> Estimate:
    """An estimate from so many right answers."""
    wrong = of - count - failed
    return estimate([1.0] * count + [0.0] * wrong + [None] * failed)


def estimates(
    study: Plan, score: Callable[[str, str, int], Estimate] = lambda model, task, length: right(5)
) -> list[CellEstimate]:
    """One estimate per model, task and length; `score` says which."""
    return [
        CellEstimate(
            model=cell.model,
            suite=cell.suite,
            task=task,
            length=cell.length,
            depth=getattr(spec, "depth", None),
            format=needle_format(spec),
            estimate=score(cell.model, task, cell.length),
        )
        for cell in study.grid().cells()
        for task, spec in study.tasks[cell.suite].items()
    ]


def table_of(study: Plan, number: int) -> TableDefinition:
    """The definition of one of the paper's tables, which a study shows."""
    return next(table for table in study.shows.tables if table.label == str(number))


def score_tables(study: Plan) -> list[TableDefinition]:
    """The definitions of a study's tables of scores."""
    return [table for table in study.shows.tables if table.value == "score"]


def figure_of(study: Plan, name: str) -> FigureDefinition:
    """The definition of one of the paper's figures."""
    return next(figure for figure in study.shows.figures if figure.name == name)


def scores_of(
    study: Plan, score: Callable[[str, str, int], Estimate] = lambda model, task, length: right(5)
) -> Scores:
    """The scores of a whole study; `score` says which."""
    return Scores(estimates(study, score), study.grid())


def answers(cell: CellEstimate) -> list[float | None]:
    """The scores of samples that give an estimate: the first are right, the last failed."""
    count, failed = cell.estimate.count, cell.estimate.failed
    hits = round(cell.estimate.mean * count)
    return [1.0] * hits + [0.0] * (count - hits - failed) + [None] * failed


def score_rows(
    cell: CellEstimate, scores: list[float | None], *, error: str = "it failed"
) -> pl.DataFrame:
    """Rows of a score file, for the task of a cell."""
    place = {name: getattr(cell, name) for name in ("model", "suite", "task", "length")}
    other = {"stop_reason": "limit", "depth": cell.depth, "format": cell.format}
    rows = [
        {**dict.fromkeys(SCORES, 1), **place, **other, "index": index, "score": score}
        | {"error": error if score is None else None}
        for index, score in enumerate(scores)
    ]
    return pl.DataFrame(rows, schema=SCORES)


def diagnosis_file(folder: Path, cells: Sequence[CellEstimate]) -> Path:
    """Diagnoses of samples with these estimates: needles lie ever farther, wrong ones vary."""
    wrong = KINDS[2:]
    rows = [
        {
            **{name: getattr(each, name) for name in ("model", "suite", "task", "length")},
            "index": index,
            "score": float(index < right),
            "kind": "right" if index < right else wrong[index % len(wrong)],
            "distance": (index + 1) * each.length // each.estimate.count,
        }
        for each in cells
        for right in [round(each.estimate.mean * each.estimate.count)]
        for index in range(each.estimate.count)
    ]
    path = folder / "diagnosis.parquet"
    pl.DataFrame(rows, schema=DIAGNOSES).write_parquet(path)
    return path


def paired_of(plan: Plan, cells: Sequence[CellEstimate]) -> Paired:
    """Samples with these estimates, of which the first are right."""
    rows = [
        dict.fromkeys(SCORES)
        | {name: getattr(each, name) for name in ("model", "suite", "task", "length")}
        | {"index": index, "score": float(index < right)}
        for each in cells
        for right in [round(each.estimate.mean * each.estimate.count)]
        for index in range(each.estimate.count)
    ]
    return Paired(pl.DataFrame(rows, schema=SCORES), Scores(cells, plan.grid()), seed=1)
