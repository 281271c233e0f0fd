"""Repositories of the Hugging Face hub as folders among the external files."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Literal

from pydantic import NonNegativeInt, StringConstraints

from needlework.errors import ResourceError
from needlework.external.registry import DIRECTORY
from needlework.gguf_header import is_gguf
from needlework.parsing import Closed, parse, read

Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
Kind = Literal["checkpoints", "tokenizers"]
"""What is taken from a repository, and the folder it lies in."""
MANIFEST = "manifest.json"
"""Our own mark; a file of that name in a repository is never taken."""

_PATH = re.compile(
    rf"(?P<kind>checkpoints|tokenizers)/(?P<owner>[\w.-]+?)--(?P<name>[\w.-]+)"
    rf"/(?P<revision>[0-9a-f]{{40}})/{re.escape(MANIFEST)}"
)
_HUB_ID = re.compile(r"[A-Za-z0-9_][\w.-]*/[\w.-]+")
TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "*.model",
    "rwkv_vocab*.txt",
)
"""What defines a tokenizer in a repository."""
_BESIDE = ("*.json", "*.jinja", "*.model", "*.txt", "*.py")
"""What a checkpoint has beside its weights; code is run for `trust_remote_code` alone."""
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
"""The same weights in several formats; the first one there is taken."""

_FILE_NAME = r"^[^/.\x00-\x1f\x7f][^/\x00-\x1f\x7f]*$"
FileName = Annotated[str, StringConstraints(pattern=_FILE_NAME)]
"""A file of a repository: at its top, and none of those that a download works with."""


class Stored(Closed):
    """A file of a repository as it was when it was verified."""

    bytes: NonNegativeInt
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Manifest(Closed):
    """Which files of a repository are here; written when all of them are."""

    hub: str
    revision: str
    files: dict[FileName, Stored]


@dataclass(frozen=True)
class Snapshot:
    """A repository at a commit."""

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


def is_hub_id(source: str) -> bool:
    """Whether a checkpoint or tokenizer lies on the hub: OWNER/NAME, where no such path is.

    What lies below resources/ is a path before it is there, for the workflow may fetch it; so is a
    GGUF file, which is none of a repository.
    """
    path = Path(source)
    return (
        _HUB_ID.fullmatch(source) is not None
        and path.parts[0] != DIRECTORY.parts[0]
        and not is_gguf(path)
        and not path.exists()
    )


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
        ResourceError: there are none of this kind, or weights that are not read from the hub.
    """
    top = [name for name in names if re.fullmatch(_FILE_NAME, name) and name != MANIFEST]
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
        alone = sorted(_matching(top, ["*.pth"]))
        way_out = f"download one of {', '.join(alone)} and name its path" if alone else "check it"
        raise ResourceError(
            f"{snapshot.hub} at {snapshot.revision} has no {snapshot.kind} among its files "
            f"({', '.join(top) or 'none'}) that can be read from the hub; {way_out}"
        )
    return sorted(taken)


def _matching(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    return [name for name in names if any(fnmatch(name, pattern) for pattern in patterns)]


def _stem(name: str) -> str:
    """The file that a shard is part of: `model-00001-of-00002.safetensors` of the first name."""
    return re.sub(r"-\d+-of-\d+", "", name)
