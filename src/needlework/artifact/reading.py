"""The plan and the names inside an unpacked artifact, none of which leads out of it.

Knows where an artifact has what; what must agree with what is the business of `checks`.
"""

from pathlib import Path
from typing import TypeVar

import polars as pl

from needlework.artifact.bundle import INPUTS, STUDY
from needlework.errors import ArtifactError
from needlework.parsing import parse, read
from needlework.study.config import Study
from needlework.study.controls import ControlCell
from needlework.study.definitions import Name
from needlework.study.grid import Cell, Grid
from needlework.study.shown import ShownModel
from needlework.tasks.specs import Spec

Content = TypeVar("Content")

FREE = 10_000
"""So many files may be asked for whatever there is."""
MOST_RUNS = 10
"""Cells that a study asks for are at most so many times those that it has: runs of one model may
share answers, and no more than a few of them."""


def plan_part(artifact: Path, part: str, kind: type[Content]) -> Content:
    """A part of the plan.

    Raises:
        StudyError: it is absent, or something else.
    """
    return part_of(artifact / STUDY, part, kind)


def part_of(study: Path, part: str, kind: type[Content]) -> Content:
    """A part of the plan in the folder of a study; raises as `plan_part` does."""
    return parse(kind, read(study / "plan" / f"{part}.json"), where=f"plan/{part}.json")


def grid(artifact: Path) -> Grid:
    """The cells that the plan asks for, not many more than there are predictions of.

    Raises:
        ArtifactError: there are far more, so that only listing them could take for ever.
        StudyError: the part is absent, or something else.
    """
    found = plan_part(artifact, "grid", Grid)
    check_size(
        artifact,
        models=len(found.models),
        lengths=[(len(each.lengths), len(each.tasks)) for each in found.suites.values()],
        where="plan/grid.json",
    )
    return found


def check_size(artifact: Path, *, models: int, lengths: list[tuple[int, int]], where: str) -> None:
    """Accept so many models and, by suite, lengths and tasks as there are files of.

    Raises:
        ArtifactError: there are far fewer files.
    """
    there = {
        name: sum(1 for _ in (artifact / STUDY / name).glob("*/*/*.jsonl"))
        for name in ("predictions", "data")
    }
    asked = {
        "predictions": models * sum(count for count, _ in lengths),
        "data": sum(count * tasks for count, tasks in lengths),
    }
    for name, count in asked.items():
        if count > max(FREE, MOST_RUNS * there[name]):
            raise ArtifactError(
                f"{where} asks for {count:,} files of {STUDY}/{name}, and {there[name]:,} are "
                "here; refused"
            )


def cells(artifact: Path) -> list[Cell]:
    """Every cell that the plan asks for, those of controls last; raises as `grid` does."""
    return [*grid(artifact).cells(), *(each.cell for each in controls(artifact))]


def controls(artifact: Path) -> tuple[ControlCell, ...]:
    """The cells of controls, where the plan has some; raises as `plan_part` does."""
    if not (artifact / STUDY / "plan/controls.json").is_file():
        return ()
    return plan_part(artifact, "controls", tuple[ControlCell, ...])


def asked(artifact: Path) -> dict[Cell, dict[Name, Spec]]:
    """The tasks of every cell: those of its suite, of which a control may have some.

    Raises:
        ArtifactError: a control is about a suite or a task that the plan does not have.
        StudyError: a part is absent, or something else.
    """
    asks = grid(artifact)
    suites = {
        suite: plan_part(artifact, f"suites/{suite}", dict[Name, Spec]) for suite in asks.suites
    }
    found = {cell: suites[cell.suite] for cell in asks.cells()}
    for each in controls(artifact):
        specs = suites.get(each.suite, {})
        if not specs.keys() >= set(each.tasks):
            raise ArtifactError(f"plan/controls.json: {each.cell.place}: no cell of the study")
        found[each.cell] = {task: specs[task] for task in specs if task in each.tasks}
    return found


def study(artifact: Path) -> Study:
    """What was asked for; raises as `plan_part` does."""
    return plan_part(artifact, "study", Study)


def models(artifact: Path) -> tuple[ShownModel, ...]:
    """What is said of every model; raises as `plan_part` does."""
    return plan_part(artifact, "models", tuple[ShownModel, ...])


def all_tasks(artifact: Path) -> dict[Name, Spec]:
    """The tasks of all suites, by name; raises as `grid` does."""
    suites = grid(artifact).suites
    specs = (plan_part(artifact, f"suites/{suite}", dict[Name, Spec]) for suite in suites)
    return {name: spec for tasks in specs for name, spec in tasks.items()}


def check_rows(path: Path, rows: int) -> None:
    """Accept a parquet file of so many rows, or one that reading will refuse.

    Its metadata tell how many there are before a row is unpacked.

    Raises:
        ArtifactError: there are others.
    """
    try:
        there = pl.scan_parquet(path).select(pl.len()).collect().item()
    except (pl.exceptions.PolarsError, OSError):
        return
    if there != rows:
        raise ArtifactError(f"{path}: {there:,} rows where {rows:,} follow")


def plain(error: Exception, *folders: Path) -> str:
    """What went wrong, with the names that files have in an artifact."""
    told = f"{error.filename}: missing" if isinstance(error, FileNotFoundError) else str(error)
    for folder in folders:
        told = told.replace(f"{folder / STUDY}/", "").replace(f"{folder / INPUTS}/", f"{INPUTS}/")
        told = told.replace(f"{folder}/", "")
    return told
