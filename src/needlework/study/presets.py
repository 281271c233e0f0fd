"""The paper's tables from `config/tables`, and a study's own, with names of lists resolved.

What a study shows of them is decided in `presentation`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from needlework import installed
from needlework.parsing import parse, read
from needlework.study.catalogue import MaterialTasks
from needlework.study.config import Models, Study
from needlework.study.definitions import FigureDefinition, Name, Preset, TableDefinition
from needlework.study.grid import Grid
from needlework.study.paper import MODELS
from needlework.study.presentation import Shown, present
from needlework.study.shown import PublishedModel, ShownModel

Selected = TypeVar("Selected", TableDefinition, FigureDefinition)


def presented(
    study: Study,
    grid: Grid,
    models: Sequence[ShownModel],
    *,
    known: MaterialTasks,
    folder: Path,
    published: bool,
) -> Shown:
    """What a study shows; `folder` is that of the configuration, `published` as in `present`.

    Raises:
        StudyError: a definition names unknown tasks, or a table that was asked for cannot be made.
    """
    path = paper_file(folder)
    paper = parse(Preset, read(path), where=str(path))
    tables = study.tables
    if isinstance(tables, tuple):
        tables = tuple(_with_tasks(each, known, "study config: tables") for each in tables)
    return present(
        study.model_copy(update={"tables": tables}),
        grid,
        models,
        paper=Preset(
            tables=tuple(_with_tasks(each, known, str(path)) for each in paper.tables),
            figures=tuple(_with_tasks(each, known, str(path)) for each in paper.figures),
            claims=paper.claims,
        ),
        published=published,
    )


def paper_file(folder: Path) -> Path:
    """The definitions of the paper's tables: of this folder of a configuration, or our own."""
    path = folder / "tables" / "paper.yaml"
    return path if path.is_file() else installed.root() / "config/tables" / path.name


def claim_tables(folder: Path) -> dict[str, tuple[Name, ...]]:
    """The names of the paper's tables that show the numbers of each of its claims.

    Raises:
        StudyError: a definition cannot be read.
    """
    path = paper_file(folder)
    return parse(Preset, read(path), where=str(path)).claims


def published(catalogue: Models) -> list[PublishedModel]:
    """The models of the published tables, with prompts and defects they were published with.

    At which commits, the tables do not say.
    """
    found = [catalogue.models[name].published(name) for name in MODELS if name in catalogue.models]
    return [each.model_copy(update={"revision": None}) for each in found]


def _with_tasks(shown: Selected, known: MaterialTasks, where: str) -> Selected:
    """A table or figure with the tasks behind the names of lists."""
    if not shown.tasks:
        return shown
    tasks = known.chosen("", shown.tasks, where=f"{where}: {shown.name}.tasks")
    return shown.model_copy(update={"tasks": tuple(tasks)})
