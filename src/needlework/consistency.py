"""Mistakes that only several config files together show, each told in one line.

Knows the files of `config/`; does not know what is made of them. Every check raises a StudyError
that names the key, the value and the way out.
"""

from collections.abc import Mapping
from pathlib import Path

from needlework.errors import StudyError
from needlework.paper import DEPTHS, FORMATS, TASKS, needle_format
from needlework.study import ModelEntry, Study, SuiteTasks, TokenizerEntry

RESOURCES = Path("resources")


def check_tasks(tasks: SuiteTasks, where: str) -> None:
    """The tables show 13 RULER tasks, and every needle format at every depth."""
    for task in TASKS:
        if task not in tasks.ruler:
            raise StudyError(f"{where}.ruler: `{task}` is missing, which the tables show; add it")
    found = {(needle_format(spec), getattr(spec, "depth", None)) for spec in tasks.depth.values()}
    for form in FORMATS:
        for depth in DEPTHS:
            if (form, depth) not in found:
                raise StudyError(
                    f"{where}.depth: no task of format {form} at depth {depth}, which the tables "
                    "show; add it"
                )


def check_names(tasks: SuiteTasks, folder: Path) -> None:
    """A dataset is found by its task name, whatever the suite."""
    shared = sorted(tasks.ruler.keys() & tasks.depth.keys())
    if shared:
        raise StudyError(
            f"{folder / 'tasks.yaml'}: {', '.join(shared)}: in both suites, but a dataset is found "
            "by its task name; rename one"
        )


def check_lengths(study: Study, models: Mapping[str, ModelEntry]) -> None:
    """Tables 2 and 3 show every model at its training length and at twice that."""
    for name, model in models.items():
        for table, length in ((2, model.trained_length), (3, 2 * model.trained_length)):
            if length not in study.suites.depth.lengths:
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
    """What has no revision is a path: one that exists, or one that the workflow makes."""
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
        if not Path(source).exists() and Path(source).parts[:1] != RESOURCES.parts:
            raise StudyError(
                f"{folder / 'models.yaml'}: {key}: {source} does not exist; if it is a hub id, add "
                "its `revision`, the 40 digits of a commit"
            )
