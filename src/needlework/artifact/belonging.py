"""Which files an artifact may have, and which of them a review only believes.

Knows what a study makes and what it was bundled with; does not compare contents.
"""

from collections.abc import Iterable, Iterator, Mapping, Set
from itertools import product
from pathlib import Path

from needlework import installed
from needlework.artifact import own_tasks, reading, replanning
from needlework.artifact.bundle import (
    CRATE,
    ENVIRONMENT,
    INPUTS,
    MANIFEST,
    PACKAGED,
    STUDY,
    TIMES,
)
from needlework.artifact.crate import README
from needlework.errors import NeedleworkError
from needlework.files import sha256
from needlework.study.plan import Plan
from needlework.study.variants import weights_of
from needlework.tasks.specs import OWN, Spec

PUBLISHED = "resources/published"
SOURCES = ("Snakefile", "pyproject.toml")
BESIDE = frozenset({MANIFEST, ENVIRONMENT, CRATE, README})
"""Files beside the study and its inputs."""
COSTS = "plan/costs.json"
"""Estimates that rest on sizes of weights which a reviewer need not have."""
READ = ("models.yaml", "models.lock.yaml", "tasks.yaml", "tables/paper.yaml")
"""Files of `config` that the plan is made from, beside the one of the study."""


def strange(artifact: Path, made: Iterable[str]) -> Iterator[str]:
    """Files that nothing of the study asks for; `made` are the pages that commands make."""
    for name in _names(artifact):
        if name not in BESIDE and not name.startswith((f"{STUDY}/", f"{INPUTS}/")):
            yield f"{name}: no part of an artifact; leave it out"
    try:
        plan = replanning.planned_again(artifact)
    except NeedleworkError:
        return  # A check says so.
    known = {*made, *_foundations(plan)}
    for name in _names(artifact / STUDY):
        if name not in known:
            yield f"{STUDY}/{name}: follows from nothing; no command makes it"
    asked = _asked_by(artifact)
    for name in _names(artifact / INPUTS):
        if not _is_input(name, plan, asked):
            yield f"{INPUTS}/{name}: no input of the study; leave it out"


def _names(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def _foundations(plan: Plan) -> Iterator[str]:
    """The files of a study from which its pages follow."""
    yield from (f"plan/{part}.json" for part in (*plan.parts(), "costs"))
    for data, end in product(plan.datasets(), ("jsonl", "details.jsonl")):
        yield f"data/{data.prompts}/{data.length}/{data.task}.{end}"
    for cell in plan.cells():
        yield f"predictions/{cell.place}.jsonl"
        yield f"scores/{cell.place}.parquet"
        yield f"{TIMES}/predict/{cell.place}.tsv"
    for name in plan.models:
        yield f"verified/{name}.json"
        yield f"verified/{weights_of(name)}.json"


def _is_input(name: str, plan: Plan, asked: Set[str]) -> bool:
    """Whether a study is bundled with such a file."""
    path = Path(name)
    if path.parts[0] == PACKAGED:
        path = path.relative_to(PACKAGED)
    return (
        path.as_posix() in SOURCES
        or name in _of_own_tasks(plan.all_tasks)
        or name in asked
        or path.parts[0] == "workflow"
        or (path.parts[0] == "config" and path.suffix == ".yaml")
        or _is_published(path)
    )


def _of_own_tasks(tasks: Mapping[str, Spec]) -> Set[str]:
    """The inputs with which the samples of tasks are compared."""
    return {spec.path for spec in tasks.values() if isinstance(spec, OWN)}


def _is_published(path: Path) -> bool:
    """Whether it has published numbers, which a remark compares with those of this version."""
    return path.parent == Path(PUBLISHED) and path.suffix == ".csv"


def believed(artifact: Path) -> Iterator[str]:
    """Every file that no check compares with anything but its own digest."""
    read = {f"config/{name}" for name in READ} | _asked_by(artifact)
    read |= _of_own_tasks(_tasks(artifact))
    if (artifact / STUDY / COSTS).is_file():
        yield f"{STUDY}/{COSTS}"
    yield from (f"{STUDY}/{TIMES}/{name}" for name in _names(artifact / STUDY / TIMES))
    for name in _names(artifact / INPUTS):
        if not (name in read or _is_published(Path(name)) or _is_ours(artifact, name)):
            yield f"{INPUTS}/{name}"


def _asked_by(artifact: Path) -> Set[str]:
    """The files of the inputs that ask for the study."""
    try:
        found = replanning.asked_by(artifact)
    except NeedleworkError:
        return frozenset()
    return {path.relative_to(artifact / INPUTS).as_posix() for path in found}


def _is_ours(artifact: Path, name: str) -> bool:
    """Whether this version of needlework has the very same file."""
    own = installed.root() / name.removeprefix(f"{PACKAGED}/")
    return own.is_file() and sha256(own) == sha256(artifact / INPUTS / name)


def not_shown(artifact: Path, *, asked_again: Mapping[str, int] | None) -> Iterator[str]:
    """What a reader might take for shown, and is not."""
    if asked_again is None:
        yield (
            "that these models gave these answers: who changes answers, scores and pages together, "
            "or makes answers up, passes; `needlework review --recompute N` asks the models again"
        )
    else:
        for what, count in asked_again.items():
            yield f"that {what} gave the {count:,} answers for which nobody asked it again"
    yield (
        "that the samples are those that the tasks make: references and answers that were changed "
        "together in data and predictions pass, and needles that are said to lie elsewhere"
    )
    if _has_likelihoods(artifact):
        yield "that the likelihoods are those of these models, as nobody computes them again"
    yield "when, where and with which packages it was computed, which environment.json only says"
    verified = any((artifact / STUDY / "verified").glob("*.json"))
    told = "study/verified only says" if verified else "nobody verified in this study"
    yield f"that the weights are those of the models, which {told}"
    yield from own_tasks.not_shown(_tasks(artifact))


def _has_likelihoods(artifact: Path) -> bool:
    """Whether the study asked for likelihoods; a check says where it cannot be read."""
    try:
        return reading.study(artifact).likelihood
    except NeedleworkError:
        return False


def _tasks(artifact: Path) -> dict[str, Spec]:
    """All tasks; none where a check says that they cannot be read."""
    try:
        return reading.all_tasks(artifact)
    except NeedleworkError:
        return {}
