"""The local files behind a checkpoint, a tokenizer or the samples of a task: what rules depend on.

Files are named here, not read.
"""

from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path

from needlework import installed
from needlework.errors import StudyError
from needlework.external.registry import DIRECTORY, registry
from needlework.external.snapshots import Kind, Snapshot
from needlework.tasks.prompts import WordingName
from needlework.tasks.specs import FileSpec, Need, Spec

CHECKPOINT_FILES = ("config.json", "model.safetensors")
TOKENIZER_FILES = ("tokenizer.json",)
"""What a folder must hold; where it has other files of these kinds, they count as well."""
KINDS = frozenset({".bin", ".jinja", ".json", ".model", ".pth", ".safetensors"})
CODE = "*.py"
"""What else counts in a checkpoint whose code is run."""
VOCABULARY = "rwkv_vocab*.txt"
"""What else counts in the folder of a tokenizer."""


READ: Mapping[Need, tuple[str, ...]] = {
    "essays": ("essays", "punkt"),
    "squad": ("squad",),
    "hotpotqa": ("hotpotqa",),
}
"""The files of the registry behind what a task needs."""


registered = cache(registry)


def of_checkpoint(checkpoint: str, revision: str | None, *, runs_code: bool) -> list[str]:
    """The files of weights; of a repository, what says that it is here."""
    fetched = _fetched("checkpoints", checkpoint, revision)
    code = CODE if runs_code else None
    return fetched or _files(installed.find(checkpoint), CHECKPOINT_FILES, others=code)


def of_tokenizer(source: str, revision: str | None) -> list[str]:
    """The files of a tokenizer; of a repository, what says that it is here."""
    fetched = _fetched("tokenizers", source, revision)
    return fetched or _files(installed.find(source), TOKENIZER_FILES, others=VOCABULARY)


def of_samples(spec: Spec, wording: WordingName | None) -> list[str]:
    """The fetched files that English samples of a task are made of."""
    needs_prompts = wording != "plain" and not isinstance(spec, FileSpec)
    wanted = ["prompts"] if needs_prompts else []
    wanted += [name for need in spec.needs for name in READ[need]]
    return [
        str(DIRECTORY / file.path) for name in wanted for file in registered().resource(name).files
    ]


def without_absent(
    suites: Mapping[str, Mapping[str, Spec]], wanted_if_there: Collection[str]
) -> tuple[dict[str, dict[str, Spec]], list[str]]:
    """The tasks of every suite but for some whose files are not here, and a line on each of those.

    Raises:
        StudyError: nothing of a suite is left.
    """
    absent = {
        task: _absent(spec)
        for tasks in suites.values()
        for task, spec in tasks.items()
        if task in wanted_if_there and _absent(spec) is not None
    }
    kept = {
        suite: {task: spec for task, spec in tasks.items() if task not in absent}
        for suite, tasks in suites.items()
    }
    if empty := [suite for suite, tasks in kept.items() if not tasks]:
        names = sorted({name for name in absent.values() if name})
        raise StudyError(
            f"study config: suites.{empty[0]}: none of its tasks has its files here; run "
            f"`needlework fetch {' '.join(names)}`, or name other tasks"
        )
    lines = [
        f"{task} is left out, as {name} is not here; `needlework fetch {name}` gets it"
        for task, name in absent.items()
    ]
    return kept, lines


def _absent(spec: Spec) -> str | None:
    """A resource of the registry that a task is made of and that is not here."""
    for name in (name for need in spec.needs for name in READ[need]):
        files = registered().resource(name).files
        if not all((DIRECTORY / file.path).is_file() for file in files):
            return name
    return None


def _fetched(kind: Kind, hub_id: str, revision: str | None) -> list[str]:
    """The manifest of a repository at its revision; none for what is a path."""
    return [str(DIRECTORY / Snapshot(kind, hub_id, revision).manifest)] if revision else []


def _files(path: Path, required: tuple[str, ...], *, others: str | None) -> list[str]:
    """The files of a folder that decide what it is, or the one file that `path` is."""
    if not path.is_dir():
        return [str(path)] if path.suffix else [str(path / name) for name in required]
    found = {file.name for file in path.iterdir() if file.suffix in KINDS}
    found |= {file.name for file in path.glob(others)} if others else set()
    return [str(path / name) for name in sorted(found or required)]
