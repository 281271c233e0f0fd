"""Repositories of the Hugging Face hub as folders among the external files.

Knows where a repository at a commit lies, which of its files a model needs, and the manifest that
says it is complete; does not know networks.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt, StringConstraints

from needlework.errors import ResourceError
from needlework.parsing import parse, read
from needlework.resources import DIRECTORY

Kind = Literal["checkpoints", "tokenizers"]
"""What is taken from a repository, and the folder it lies in."""
MANIFEST = "manifest.json"
UNPINNED = "unpinned"

_PATH = re.compile(
    rf"(?P<kind>checkpoints|tokenizers)/(?P<owner>[\w.-]+?)--(?P<name>[\w.-]+)"
    rf"/(?P<revision>[0-9a-f]{{40}}|{UNPINNED})/{re.escape(MANIFEST)}"
)
TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "*.model",
    "rwkv_vocab*.txt",
)
"""What defines a tokenizer in a repository."""
_BESIDE = ("*.json", "*.jinja", "*.model", "*.txt", "*.py")
"""What a checkpoint has beside its weights; code is run for `trust_remote_code` alone."""
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin", "*.pth")
"""The same weights in several formats; the first one there is taken."""


class Stored(BaseModel):
    """A file of a repository as it was when it was verified."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bytes: NonNegativeInt
    sha256: str


class Manifest(BaseModel):
    """Which files of a repository are here; written when all of them are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hub: str
    revision: str
    files: dict[Annotated[str, StringConstraints(pattern=r"^[^/]+$")], Stored]


@dataclass(frozen=True)
class Snapshot:
    """A repository at a commit, or at one that nobody has looked up yet (`unpinned`)."""

    kind: Kind
    hub: str
    revision: str

    @property
    def folder(self) -> str:
        """Where it lies below the folder of external files."""
        return f"{self.kind}/{self.hub.replace('/', '--')}/{self.revision}"

    @property
    def manifest(self) -> str:
        """The file that is there when all others are."""
        return f"{self.folder}/{MANIFEST}"


def at(path: str) -> Snapshot | None:
    """The repository whose manifest has this path below the folder of external files."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    kind: Kind = "checkpoints" if found["kind"] == "checkpoints" else "tokenizers"
    return Snapshot(kind, f"{found['owner']}/{found['name']}", found["revision"])


def refuse_unpinned(paths: Iterable[str], directory: Path = DIRECTORY) -> None:
    """Accept only commits among the repositories whose manifests are to be made.

    Raises:
        ResourceError: nobody has looked up the commit of one.
    """
    asked = (
        at(str(Path(path).relative_to(directory))) for path in paths if _below(path, directory)
    )
    hubs = sorted({each.hub for each in asked if each is not None and each.revision == UNPINNED})
    if hubs:
        raise ResourceError(
            f"{', '.join(hubs)}: unpinned; `needlework pin {' '.join(hubs)}` prints the last "
            "commit of each: write it as `revision` into config/models.yaml, and into "
            "resources/registry.yaml where it stands there"
        )


def _below(path: str, directory: Path) -> bool:
    return Path(path).is_relative_to(directory)


def find(
    kind: Kind, hub_id: str, *, revision: str | None, directory: Path = DIRECTORY
) -> Path | None:
    """The folder of a repository that was fetched completely, or None.

    Raises:
        ResourceError: a file has got lost or changed its size since.
    """
    if revision is None:
        return None
    snapshot = Snapshot(kind, hub_id, revision)
    path = directory / snapshot.manifest
    if not path.is_file():
        return None
    for name, stored in read_manifest(path).files.items():
        file = path.with_name(name)
        if not file.is_file() or file.stat().st_size != stored.bytes:
            raise ResourceError(
                f"{file} is not what was fetched; get it again with "
                f"`needlework fetch {snapshot.manifest}`"
            )
    return path.parent


def read_manifest(path: Path) -> Manifest:
    """The manifest in a file.

    Raises:
        StudyError: it is none.
    """
    return parse(Manifest, read(path), where=str(path))


def needed(snapshot: Snapshot, names: Sequence[str]) -> list[str]:
    """The files of a repository to take: no folders, and weights in one format only.

    Raises:
        ResourceError: there are none of this kind.
    """
    top = [name for name in names if "/" not in name]
    if snapshot.kind == "tokenizers":
        taken = _matching(top, TOKENIZER)
    else:
        formats = ([name for name in top if fnmatch(name, pattern)] for pattern in _WEIGHTS)
        weights = next(filter(None, formats), [])
        other = {f"{name}.index.json" for name in ("model.safetensors", "pytorch_model.bin")}
        other -= {f"{_stem(name)}.index.json" for name in weights}
        beside = [name for name in _matching(top, _BESIDE) if name not in other]
        taken = [*beside, *weights] if weights else []
    if not taken:
        raise ResourceError(
            f"{snapshot.hub} at {snapshot.revision} has no {snapshot.kind} among its files "
            f"({', '.join(top) or 'none'}); check the name"
        )
    return sorted(taken)


def _matching(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    return [name for name in names if any(fnmatch(name, pattern) for pattern in patterns)]


def _stem(name: str) -> str:
    """The file that a shard is part of: `model-00001-of-00002.safetensors` of the first name."""
    return re.sub(r"-\d+-of-\d+", "", name)
