"""Which commit of every repository of the hub is meant, and which bytes: `config/models.lock.yaml`.

`external.locking` asks the hub for what the file lacks; `study.pins` selects what a study needs.
Commits are taken from this file, unless `revision` in models.yaml says another.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NamedTuple, Self, get_args

import yaml
from pydantic import Field, StringConstraints, model_validator

from needlework import files, installed
from needlework.errors import ResourceError, StudyError
from needlework.external.registry import DIRECTORY
from needlework.external.snapshots import (
    Commit,
    FileName,
    Kind,
    Snapshot,
    Stored,
    is_hub_id,
    read_manifest,
)
from needlework.parsing import Closed, parse, read

NAME = "models.lock.yaml"
"""The file, beside models.yaml."""
PATH = Path("config") / NAME
_HEADER = """\
# The commit of every hub id in models.yaml, and the bytes of its files; for version control.
# `needlework fetch --configfile FILE` adds what a study needs, `needlework pin --update HUB_ID`
# moves an entry to the hub's last commit; nothing else is ever downloaded. An entry without files
# has not been fetched yet; `HUB_ID@COMMIT` belongs to a `revision` in models.yaml.
"""
_END = "..."
"""The last line, YAML's own mark of an end; a file without it is torn."""

Contents = dict[FileName, Stored]
_Key = Annotated[str, StringConstraints(pattern=r"^[\w.-]+/[\w.-]+(@[0-9a-f]{40})?$")]


class Locked(Closed):
    """A repository at a commit: the files of a checkpoint, of a tokenizer, or of both."""

    revision: Commit
    checkpoints: Contents | None = None
    tokenizers: Contents | None = None

    def files(self, kind: Kind) -> Contents | None:
        """The files of a kind; None where the hub was not asked for them yet."""
        return self.checkpoints if kind == "checkpoints" else self.tokenizers

    def joined(self, other: "Locked") -> "Locked":
        """This entry with what only the other one knows of the same commit."""
        if other.revision != self.revision:
            return self
        return Locked(
            revision=self.revision,
            checkpoints=other.checkpoints if self.checkpoints is None else self.checkpoints,
            tokenizers=other.tokenizers if self.tokenizers is None else self.tokenizers,
        )


class Repository(NamedTuple):
    """What a study needs of the hub."""

    kind: Kind
    hub: str
    revision: str | None
    """None where neither models.yaml nor the lock has a commit."""


class Lock(Closed):
    """The parsed form of the file."""

    repositories: dict[_Key, Locked] = Field({})

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for key, locked in self.repositories.items():
            commit = key.partition("@")[2]
            if commit and commit != locked.revision:
                raise ValueError(f"{key} has revision {locked.revision}; they must be equal")
        return self

    def key(self, hub: str, revision: str | None) -> str:
        """The name of the entry for a hub id, at a commit of models.yaml or, for None, its own."""
        own = self.repositories.get(hub)
        is_own = revision is None or (own is not None and own.revision == revision)
        return hub if is_own else f"{hub}@{revision}"

    def find(self, hub: str, revision: str | None) -> Locked | None:
        """The entry of that name, if there is one."""
        return self.repositories.get(self.key(hub, revision))

    def contents(self, snapshot: Snapshot) -> Contents | None:
        """The files of a repository at a commit; None where they are not locked."""
        found = self.find(snapshot.hub, snapshot.revision)
        return None if found is None else found.files(snapshot.kind)

    def commit(self, source: str) -> str | None:
        """The commit of a hub id; None for what is not locked, or no hub id."""
        found = self.repositories.get(source) if is_hub_id(source) else None
        return found.revision if found else None

    def refuse_unlocked(
        self, wanted: Iterable[Repository], study: object = "FILE", directory: Path = DIRECTORY
    ) -> None:
        """Accept repositories whose files are known, and what was fetched of them.

        Raises:
            ResourceError: the lock does not hold one, or something else was fetched; says what to
                run, `study` being the config file to name.
        """
        needed = list(wanted)
        unlocked = list(dict.fromkeys(each.hub for each in needed if self._is_unlocked(each)))
        wrong = [f"{PATH} does not hold {', '.join(unlocked)}"] if unlocked else []
        wrong += filter(
            None, (self._clash(each) or _stale(self, each, directory) for each in needed)
        )
        if wrong:
            raise ResourceError(
                f"{'; '.join(dict.fromkeys(wrong))}; run `needlework fetch --configfile {study}` "
                "where there is a network: it locks and downloads what the study needs"
            )

    def _is_unlocked(self, wanted: Repository) -> bool:
        found = self.find(wanted.hub, wanted.revision)
        return (found is None or found.files(wanted.kind) is None) and not self._clash(wanted)

    def _clash(self, wanted: Repository) -> str | None:
        """How the lock and models.yaml disagree."""
        own = self.repositories.get(wanted.hub)
        if own is None or self.find(wanted.hub, wanted.revision) is not None:
            return None
        return (
            f"{PATH} has {wanted.hub} at {own.revision}, but models.yaml says `revision: "
            f"{wanted.revision}`: remove that, or lock it as well"
        )


NONE = Lock()


def _stale(lock: Lock, wanted: Repository, directory: Path) -> str | None:
    """What was fetched before the lock said something else of the same commit."""
    found = lock.find(wanted.hub, wanted.revision)
    if found is None or found.files(wanted.kind) is None:
        return None
    manifest = directory / Snapshot(wanted.kind, wanted.hub, found.revision).manifest
    if manifest.is_file() and read_manifest(manifest).files != found.files(wanted.kind):
        return f"{manifest} lists other files than {PATH}"
    return None


def load(path: Path) -> Lock:
    """The lock in a file; an empty one where there is no file.

    Raises:
        StudyError: it is torn, or not a lock.
    """
    if not path.exists():
        return Lock()
    try:
        content = read(path)
        if not path.read_text(encoding="utf-8").endswith(f"\n{_END}\n"):
            raise StudyError(f"{path} is torn: its last line is not `{_END}`")
        return parse(Lock, content or {}, where=str(path))
    except StudyError as error:
        reason = str(error).partition("\n")[0][:400]
        raise StudyError(
            f"{reason}; get it back (`git checkout {path}`), or repair it by hand"
        ) from error


def known(path: Path) -> Lock:
    """The lock in a file, and for what it is silent about the packaged one.

    Raises:
        StudyError: one of them is no lock.
    """
    packaged = installed.beside(path)
    if packaged is None:
        return load(path)
    return Lock(repositories={**load(packaged).repositories, **load(path).repositories})


def change(path: Path, make: Callable[[Lock], Mapping[str, Locked]]) -> Lock:
    """The lock after some of its entries became what `make` says; processes take turns.

    Raises:
        StudyError: there is a file that is no lock.
    """
    with _alone(path):
        lock = load(path)
        changed = Lock(repositories={**lock.repositories, **make(lock)})
        if changed != lock or not path.exists():
            files.write_text(path, _text(changed))
    return changed


def add(path: Path, key: str, entry: Locked) -> Lock:
    """The lock with an entry that was not there; of one that was, what it has is kept."""
    return change(
        path,
        lambda lock: {
            key: lock.repositories[key].joined(entry) if key in lock.repositories else entry
        },
    )


def _text(lock: Lock) -> str:
    """Entries and files in order, one line for every file."""
    content = {
        key: {
            "revision": locked.revision,
            **{
                kind: {name: found[name].model_dump() for name in sorted(found)}
                for kind in get_args(Kind)
                if (found := locked.files(kind)) is not None
            },
        }
        for key, locked in sorted(lock.repositories.items())
    }
    body = yaml.safe_dump(
        {"repositories": content}, sort_keys=False, default_flow_style=None, width=1000
    )
    return f"{_HEADER}{body}{_END}\n"


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other process changes the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("a") as guard:
        files.lock(guard.fileno(), path, waits=True)
        yield


def differences(old: Contents, new: Contents) -> Sequence[str]:
    """What became of the files, a line each; empty where nothing changed."""
    names = sorted(old.keys() | new.keys())
    return [
        _difference(name, old.get(name), new.get(name))
        for name in names
        if old.get(name) != new.get(name)
    ]


def _difference(name: str, old: Stored | None, new: Stored | None) -> str:
    if old is None and new is not None:
        return f"+ {name}: {new.bytes:,} bytes"
    if new is None and old is not None:
        return f"- {name}: {old.bytes:,} bytes"
    assert old is not None
    assert new is not None
    return (
        f"~ {name}: {old.bytes:,} bytes, sha256 {old.sha256[:12]} -> "
        f"{new.bytes:,} bytes, sha256 {new.sha256[:12]}"
    )
