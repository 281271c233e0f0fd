"""Mistakes that only several config files together show, each told in one line.

Knows the files of `config/`; does not know what is made of them. Every check raises a StudyError
that names the key, the value and the way out.
"""

from collections.abc import Mapping
from pathlib import Path

from needlework.errors import StudyError
from needlework.paper import DEPTHS, FORMATS, TASKS, needle_format
from needlework.parsing import unknown
from needlework.snapshots import is_hub_id
from needlework.study import LengthTable, ModelEntry, Study, SuiteTasks, TokenizerEntry

RESOURCES = Path("resources")
RESERVED = frozenset({"study", "grid", "models", "published_models", "hazards", "costs"})
"""Other parts of a plan."""


def check_tasks(suites: SuiteTasks) -> None:
    """The paper's tables show 13 RULER tasks, and every needle format at every depth."""
    for suite in ("ruler", "depth"):
        if suite not in suites:
            raise StudyError(
                f"study config: suites.{suite} is missing, which the tables of the paper show; add "
                "it, or list `tables` of your own"
            )
    for task in TASKS:
        if task not in suites["ruler"]:
            raise StudyError(
                f"study config: suites.ruler: `{task}` is missing, which the tables of the paper "
                "show; add it, or list `tables` of your own"
            )
    depth = suites["depth"].values()
    found = {(needle_format(spec), getattr(spec, "depth", None)) for spec in depth}
    for form in FORMATS:
        for depth_percent in DEPTHS:
            if (form, depth_percent) not in found:
                raise StudyError(
                    f"study config: suites.depth: no task of format {form} at depth "
                    f"{depth_percent}, which the tables of the paper show; add it, or list "
                    "`tables` of your own"
                )


def check_tables(tables: Mapping[str, LengthTable], suites: SuiteTasks) -> None:
    """A table shows tasks that the study measures."""
    for name, table in tables.items():
        if table.suite not in suites:
            raise StudyError(f"study config: tables.{name}.suite: {unknown(table.suite, suites)}")
        for task in table.tasks:
            if task not in suites[table.suite]:
                raise StudyError(
                    f"study config: tables.{name}.tasks: {unknown(task, suites[table.suite])}"
                )


def check_names(suites: SuiteTasks) -> None:
    """A dataset is found by its task name, whatever the suite; a suite's tasks are a file."""
    owner: dict[str, str] = {}
    for suite, tasks in suites.items():
        if suite in RESERVED:
            raise StudyError(f"study config: suites.{suite}: this name is taken; choose another")
        for task in tasks:
            if owner.setdefault(task, suite) != suite:
                raise StudyError(
                    f"study config: suites: {task} is in both {owner[task]} and {suite}, but a "
                    "dataset is found by its task name; remove one"
                )


def check_lengths(study: Study, models: Mapping[str, ModelEntry]) -> None:
    """Tables 2 and 3 show every model at its training length and at twice that."""
    for name, model in models.items():
        for table, length in ((2, model.trained_length), (3, 2 * model.trained_length)):
            if length not in study.suites["depth"].lengths:
                raise StudyError(
                    f"study config: suites.depth.lengths: {length} is missing, at which Table "
                    f"{table} shows {name} (trained_length {model.trained_length}); add it"
                )


def check_labels(models: Mapping[str, ModelEntry], folder: Path) -> None:
    """Tables and figures tell models apart by their labels."""
    names: dict[str, str] = {}
    for name, model in models.items():
        other = names.setdefault(model.label, name)
        if other != name:
            raise StudyError(
                f"{folder / 'models.yaml'}: {other} and {name} have the same label "
                f"`{model.label}`; change one"
            )


def check_sources(
    models: Mapping[str, ModelEntry], tokenizers: Mapping[str, TokenizerEntry], folder: Path
) -> None:
    """What is no hub id is a path: one that exists, or one that the workflow makes."""
    sources = {
        f"models.{name}.checkpoint": each.checkpoint
        for name, each in models.items()
        if not each.revision
    }
    sources |= {
        f"tokenizers.{name}.source": each.source
        for name, each in tokenizers.items()
        if not each.revision
    }
    for key, source in sources.items():
        known = Path(source).exists() or Path(source).parts[:1] == RESOURCES.parts
        if not known and not is_hub_id(source):
            home = (
                "write the home folder out in place of `~`" if source[:1] == "~" else "correct it"
            )
            raise StudyError(
                f"{folder / 'models.yaml'}: {key}: {source} does not exist, and is no hub id "
                f"(OWNER/NAME); {home}"
            )
