"""The local files behind a checkpoint, a tokenizer or the samples of a task: what rules depend on.

Knows names of files and what stands for a repository; does not read them.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

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
    return fetched or _files(Path(checkpoint), CHECKPOINT_FILES, others=code)


def of_tokenizer(source: str, revision: str | None) -> list[str]:
    """The files of a tokenizer; of a repository, what says that it is here."""
    fetched = _fetched("tokenizers", source, revision)
    return fetched or _files(Path(source), TOKENIZER_FILES, others=VOCABULARY)


def of_samples(spec: Spec, wording: WordingName | None) -> list[str]:
    """The fetched files that English samples of a task are made of."""
    needs_prompts = wording != "plain" and not isinstance(spec, FileSpec)
    wanted = ["prompts"] if needs_prompts else []
    wanted += [name for need in spec.needs for name in READ[need]]
    return [
        str(DIRECTORY / file.path) for name in wanted for file in registered().resource(name).files
    ]


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
