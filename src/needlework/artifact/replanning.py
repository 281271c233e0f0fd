"""The plan of an artifact, made again from the configuration inside it.

Knows configuration files and parts of a plan; runs nothing, and looks for nothing outside.
"""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python

from needlework import installed
from needlework.artifact import reading
from needlework.artifact.bundle import INPUTS, STUDY
from needlework.cost.architectures import Weights, architecture
from needlework.cost.published import published
from needlework.cost.study import PlannedCell
from needlework.errors import ArtifactError, NeedleworkError
from needlework.parsing import parse, read
from needlework.study.config import ModelEntry, Study
from needlework.study.grid import Cell
from needlework.study.plan import Plan, resolve

CONFIG = Path("config")
NEEDED = frozenset({"study", "grid", "models", "shown", "controls"})
"""Parts that are there if a study has them, beside its suites."""
NANO = installed.root() / "resources/nano"
QUOTED = 60
"""Characters of a value that are shown where it differs."""


def asked_by(artifact: Path) -> list[Path]:
    """The files of the inputs that ask for the study of the plan.

    Raises:
        StudyError: the plan does not say what was asked.
    """
    wanted = reading.study(artifact).model_dump()
    return [path for path, found in _studies(artifact).items() if found.model_dump() == wanted]


def _studies(artifact: Path) -> dict[Path, Study]:
    """Every study that a file of the inputs asks for."""
    found = {}
    for path in sorted((artifact / INPUTS).rglob("*.yaml")):
        try:
            found[path] = parse(Study, read(path), where=path.name)
        except NeedleworkError:
            continue  # Other YAML than a study's.
    return found


def planned_again(artifact: Path) -> Plan:
    """The plan that follows from the configuration of the inputs.

    Raises:
        ArtifactError: no file there asks for this study, or it asks for more than there is.
        StudyError: the configuration is no configuration.
    """
    study = reading.study(artifact)
    reading.check_size(
        artifact,
        models=len(study.models),
        lengths=[(len(suite.lengths), 1) for suite in study.suites.values()],
        where="plan/study.json",
    )
    if not asked_by(artifact):
        raise ArtifactError(_nobody_asked(artifact, study))
    keys = study.model_dump(mode="json", exclude_defaults=True)
    return resolve(keys, artifact / INPUTS / CONFIG, runs=False)


def _nobody_asked(artifact: Path, study: Study) -> str:
    """That nobody did, with the first key in which a config of the same name asks otherwise."""
    for path, found in _studies(artifact).items():
        if found.study == study.study:
            place = path.relative_to(artifact).as_posix()
            told = next(_differences(to_jsonable_python(study), to_jsonable_python(found)), "")
            return f"{place} asks for another study than plan/study.json: {told}"
    for path in sorted((artifact / INPUTS).rglob("*.yaml")):
        try:
            read(path)
        except NeedleworkError as error:
            return f"a file that may ask for the study cannot be read: {error}"
    return (
        f"no file of {INPUTS}/{CONFIG} asks for the study of plan/study.json; where it was asked "
        "for with --config, write that into a file and bundle it"
    )


def unlike(artifact: Path) -> Iterator[str]:
    """Parts of the plan that the configuration does not give."""
    try:
        plan = planned_again(artifact)
    except NeedleworkError as error:
        yield f"the plan cannot be made again: {reading.plain(error, artifact)}"
        return
    for part, content in plan.parts().items():
        name = f"plan/{part}.json"
        path = artifact / STUDY / name
        if not path.is_file():
            if part in NEEDED or part.startswith("suites/"):
                yield f"{name}: missing; `snakemake` makes it from the configuration"
            continue  # No rule of this study reads it.
        pairs = _differences(read(path), to_jsonable_python(content))
        yield from (f"{name}: {told}" for told in list(pairs)[:3])
    yield from _impossible_costs(artifact, plan)


def _impossible_costs(artifact: Path, plan: Plan) -> Iterator[str]:
    """Planned hours of cells that are none, or that no study of this size could have; and cells
    without any, of models that others are told of or that the package itself describes.
    """
    left = dict.fromkeys(plan.cells())
    if not (artifact / STUDY / "plan/costs.json").is_file():
        return
    costed = {name for name, entry in plan.models.items() if _is_described(entry)}
    for row in reading.plan_part(artifact, "costs", tuple[PlannedCell, ...]):
        cell = Cell(row.model, row.suite, row.length)
        if cell not in left or row.prompts != plan.study.samples * len(plan.tasks_of(cell)):
            told = "no cell of the study, or of its size, or told twice"
            yield f"plan/costs.json: {cell.place}: {told}"
        left.pop(cell, None)
        costed.add(row.model)
    for cell in left:
        if cell.model in costed:
            yield f"plan/costs.json: {cell.place}: missing"


def _is_described(entry: ModelEntry) -> bool:
    """Whether the sizes of a model are known wherever this package is, so that its cost is."""
    if entry.backend == "server":
        return False
    packaged = (installed.root() / entry.checkpoint).resolve().is_relative_to(NANO.resolve())
    return (packaged or bool(published(entry.checkpoint))) and bool(architecture(Weights.of(entry)))


def _differences(found: Any, wanted: Any, place: str = "") -> Iterator[str]:  # noqa: ANN401
    """Where two values of JSON part, order included: that of tasks is that of a table's columns."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        if list(found) != list(wanted):
            known = [key for key in found if key not in wanted]
            absent = [key for key in wanted if key not in found]
            told = f"has {known or 'nothing'} too many and lacks {absent or 'nothing'}"
            yield f"{place or 'its keys'}: {told if known or absent else 'another order of keys'}"
        for key in found:
            if key in wanted:
                yield from _differences(found[key], wanted[key], f"{place}.{key}".lstrip("."))
    elif isinstance(found, list) and isinstance(wanted, list):
        for number, (one, other) in enumerate(zip_longest(found, wanted)):
            yield from _differences(one, other, f"{place}[{number}]")
    elif found != wanted or type(found) is not type(wanted):
        yield f"{place}: {_quoted(found)}, but {_quoted(wanted)} follows from {INPUTS}/{CONFIG}"


def _quoted(value: Any) -> str:  # noqa: ANN401
    return f"{value!r:.{QUOTED}}"
