"""Getting repositories of the hub: at the commit and with the bytes that the lock says, or that the
hub says where the lock is silent.
"""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from needlework import files
from needlework.errors import ResourceError
from needlework.external import locks, repositories, snapshots
from needlework.external.downloading import Downloader
from needlework.external.locks import Contents, Lock, Locked, Repository
from needlework.external.repositories import Remote
from needlework.external.snapshots import Kind, Manifest, Snapshot, Stored

MIRROR = "NEEDLEWORK_MIRROR"
"""The environment variable that names a folder with external files at their paths."""


def need_network(wanted: str, *, offline: bool) -> None:
    """Accept that a file comes from the network.

    Raises:
        ResourceError: `offline` forbids it.
    """
    if offline:
        raise ResourceError(
            f"{wanted} is not there and --offline forbids to download it; get it where there is a "
            f"network, or put it into the folder that {MIRROR} names, at the same path"
        )


@dataclass(frozen=True, kw_only=True)
class Puller:
    """How to get repositories, and where to put them."""

    directory: Path
    lock: Lock
    downloader: Downloader
    mirror: Path | None = None
    offline: bool = False

    def manifest(self, snapshot: Snapshot) -> Path:
        """The manifest of a repository's folder, every file of it verified.

        Raises:
            ResourceError: a file cannot be had, or is not what the lock or the hub says.
        """
        manifest = self.directory / snapshot.manifest
        locked = self.lock.contents(snapshot)
        contents = self._known(snapshot) or self._listed(snapshot) if locked is None else locked
        wrong = [name for name, each in contents.items() if not _is(manifest.with_name(name), each)]
        for name in wrong:
            said_by = "its listing" if locked is None else str(locks.PATH)
            self._file(snapshot, name, contents[name], said_by=said_by)
        complete = Manifest(hub=snapshot.hub, revision=snapshot.revision, files=contents)
        if wrong or not manifest.is_file() or snapshots.read_manifest(manifest) != complete:
            files.write_text(manifest, complete.model_dump_json(indent=1))
        return manifest

    def resolve(self, wanted: Repository) -> Locked:
        """An entry for the lock: a repository at its commit, or the hub's last where it has none.

        Large files are taken at the hub's word, small ones, of which it keeps no SHA-256, are
        downloaded.

        Raises:
            ResourceError: the hub refuses or does not answer, or there is no such commit.
        """
        kind, hub, commit = wanted
        contents = None if commit is None else self._known(Snapshot(kind, hub, commit))
        if commit is None:
            if self.offline:
                raise ResourceError(
                    f"{hub} has no commit in {locks.PATH} and --offline forbids to ask the hub; "
                    "fetch where there is a network"
                )
            commit = repositories.listing(hub, revision=None).commit
        contents = contents or self._listed(Snapshot(kind, hub, commit))
        found: dict[Kind, Contents] = {kind: contents}
        return Locked.model_validate({"revision": commit, **found})

    def missing_bytes(self, snapshot: Snapshot) -> int:
        """How much of a locked repository is not here yet."""
        folder = self.directory / snapshot.folder
        return sum(
            max(0, each.bytes - max(_size(folder / name), _size(folder / f"{name}.part")))
            for name, each in (self.lock.contents(snapshot) or {}).items()
        )

    def _known(self, snapshot: Snapshot) -> Contents | None:
        """What a manifest says that is here already, or in the mirror."""
        for folder in (self.directory, self.mirror):
            if folder is not None and (folder / snapshot.manifest).is_file():
                found = snapshots.read_manifest(folder / snapshot.manifest)
                if (found.hub, found.revision) == (snapshot.hub, snapshot.revision):
                    return found.files
        return None

    def _listed(self, snapshot: Snapshot) -> Contents:
        """What the hub says."""
        need_network(snapshot.manifest, offline=self.offline)
        remotes = repositories.listing(snapshot.hub, revision=snapshot.revision).remotes
        names = snapshots.needed(snapshot, list(remotes))
        return {name: self._stored(snapshot, remotes[name]) for name in names}

    def _stored(self, snapshot: Snapshot, remote: Remote) -> Stored:
        if remote.sha256 is not None:
            return Stored(bytes=remote.bytes, sha256=remote.sha256)
        target = self.directory / snapshot.folder / remote.name
        headers = repositories.ask(remote.url, snapshot.hub)
        self.downloader.get(
            [remote.url], target, check=remote.check, size=remote.bytes, headers=headers
        )
        return Stored(bytes=target.stat().st_size, sha256=files.sha256(target))

    def _file(self, snapshot: Snapshot, name: str, stored: Stored, *, said_by: str) -> None:
        """Put a file in its place."""
        target = self.directory / snapshot.folder / name
        mirrored = self.mirror / snapshot.folder / name if self.mirror else None
        if mirrored is not None and mirrored.is_file():
            with files.atomic(target) as temporary:
                shutil.copyfile(mirrored, temporary)
                if not _is(temporary, stored):
                    raise ResourceError(
                        f"{mirrored} is damaged or another version: it has not the sha256 "
                        f"{stored.sha256}; replace it, or unset {MIRROR}"
                    )
            return
        need_network(f"{snapshot.folder}/{name}", offline=self.offline)
        url = repositories.address(snapshot.hub, name, commit=snapshot.revision)
        headers = repositories.ask(url, snapshot.hub)
        check = _Check(snapshot, name, stored, said_by)
        self.downloader.get([url], target, check=check, size=stored.bytes, headers=headers)


@dataclass(frozen=True)
class _Check:
    """Accepts the bytes that were locked, and no others."""

    snapshot: Snapshot
    name: str
    stored: Stored
    said_by: str

    def __call__(self, path: Path) -> None:
        found = files.sha256(path)
        if found != self.stored.sha256:
            raise ResourceError(
                f"{self.snapshot.hub} at {self.snapshot.revision}: {self.name} has sha256 {found}, "
                f"{self.said_by} says {self.stored.sha256}: the hub serves other bytes; do not use "
                "them, try elsewhere or ask its owners"
            )


def lock(wanted: Repository, path: Path, puller: Puller) -> tuple[Lock, bool]:
    """The lock in a file with the files of a repository; and whether they are new there.

    Raises:
        ResourceError: the hub does not say what they are.
        StudyError: the file is no lock.
    """
    known, new = locks.known(path), False
    while True:
        entry = known.find(wanted.hub, wanted.revision)
        if entry is not None and entry.files(wanted.kind) is not None:
            return known, new
        commit = entry.revision if entry else wanted.revision
        found = replace(puller, lock=known).resolve(wanted._replace(revision=commit))
        locks.add(path, known.key(wanted.hub, wanted.revision), found)
        known, new = locks.known(path), True


def update(uses: list[Repository], path: Path, puller: Puller) -> tuple[Locked | None, Locked]:
    """What the lock said of a hub id, and what it says now: its last commit, with all kinds in use.

    `uses` are those of models.yaml, all of one hub id; a commit that one of them names stays.

    Raises:
        ResourceError: the hub does not say what they are.
        StudyError: the file is no lock.
    """
    hub, old = uses[0].hub, locks.known(path).find(uses[0].hub, None)
    kinds = [each.kind for each in uses if each.revision is None]
    new = puller.resolve(Repository(kinds[0], hub, None))
    for kind in kinds[1:]:
        new = new.joined(puller.resolve(Repository(kind, hub, new.revision)))
    entries = {hub: new}
    if old is not None and old.revision == new.revision:
        entries = {hub: old.joined(new)}
    elif old is not None and any(each.revision == old.revision for each in uses):
        entries[f"{hub}@{old.revision}"] = old
    locks.change(path, lambda _: entries)
    return old, entries[hub]


def _is(path: Path, stored: Stored) -> bool:
    return _size(path) == stored.bytes and path.is_file() and files.sha256(path) == stored.sha256


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
