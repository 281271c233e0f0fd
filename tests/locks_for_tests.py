"""A lock without a hub: made-up commits, and files that nobody has."""

import hashlib
from pathlib import Path

from needlework.external import locks
from needlework.external.locks import Locked, Repository
from needlework.external.snapshots import Manifest, Snapshot, Stored
from needlework.parsing import parse, read
from needlework.study import pins
from needlework.study.config import Models


def locked(commit: str, *kinds: str) -> Locked:
    """An entry with one file of every kind."""
    file = Stored(bytes=2, sha256=hashlib.sha256(b"{}").hexdigest())
    return Locked.model_validate(
        {"revision": commit} | {kind: {"config.json": file} for kind in kinds}
    )


def lock_all(config: Path) -> None:
    """Lock every hub id of a folder's models.yaml."""
    path = config / "models.yaml"
    catalogue = parse(Models, read(path), where=str(path))
    for kind, hub, _ in pins.repositories(catalogue.models, catalogue.tokenizers):
        known = locks.load(config / locks.NAME).find(hub, None)
        commit = known.revision if known else hashlib.sha1(hub.encode()).hexdigest()
        locks.add(config / locks.NAME, hub, locked(commit, kind))


def fetched(directory: Path, wanted: Repository, entry: Locked) -> Path:
    """The manifest of a locked repository, as if it had been fetched."""
    kind, hub, _ = wanted
    snapshot = Snapshot(kind, hub, entry.revision)
    complete = Manifest(hub=hub, revision=entry.revision, files=entry.files(kind) or {})
    path = directory / snapshot.manifest
    path.parent.mkdir(parents=True)
    path.write_text(complete.model_dump_json(), encoding="utf-8")
    return path
