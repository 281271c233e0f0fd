"""Getting what is missing: from a mirror, or from the network, resumed and tried again.

Knows the registry, mirrors and HTTP; does not know what files are for. A file takes its place only
when its digest is right; what was downloaded so far waits beside it as `.part`.
"""

import fcntl
import http.client
import os
import shutil
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from needlework import files
from needlework.errors import ResourceError
from needlework.resources import File, Origin, Registry, Repository, Resource, verify

MIRROR = "NEEDLEWORK_MIRROR"
"""The environment variable that names a folder with the files of the registry at their paths."""
_CHUNK = 1 << 20
_PAUSES = (1, 2, 4)
"""Seconds to wait before every further try."""
_PARTIAL, _RANGE_REFUSED = 206, 416
_FORBIDDEN = frozenset({401, 403})
_FOR_NOW = frozenset({408, 429, 500, 502, 503, 504})

Open = Callable[[urllib.request.Request], AbstractContextManager[Any]]


@contextmanager
def _alone(part: Path) -> Iterator[None]:
    """Wait until no other process writes to `part`."""
    with part.with_name(f".{part.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _open(request: urllib.request.Request) -> AbstractContextManager[Any]:
    response: AbstractContextManager[Any] = urllib.request.urlopen(request, timeout=60)
    return response


@dataclass(frozen=True, kw_only=True)
class Fetcher:
    """How to get files, and where to put them."""

    registry: Registry
    directory: Path
    mirror: Path | None = None
    offline: bool = False
    accepted: frozenset[str] = frozenset()
    """Resources whose terms the user has accepted."""
    open_url: Open = _open
    pause: Callable[[float], None] = time.sleep

    def fetch(self, name: str) -> Iterator[Path]:
        """Every file of a resource (or the one at a path), or the folder of a repository, verified.

        Raises:
            ResourceError: a file cannot be had, or is not what the registry says.
        """
        if name in self.registry.repositories:
            yield self._repository(name, self.registry.repositories[name])
            return
        owner, wanted = self.registry.find(name)
        for file in wanted:
            yield self._file(owner, self.registry.resource(owner), file)

    def _repository(self, name: str, repository: Repository) -> Path:
        """The snapshot of a hub repository in the hub's own cache."""
        from needlework import snapshots

        if repository.revision is None:
            raise ResourceError(
                f"{repository.hub}: nobody has looked up its revision yet; write the 40 digits of "
                "a commit into the registry and into config/models.yaml"
            )
        self._permitted(name, repository, f"{repository.hub} at {repository.revision}")
        return snapshots.download(repository.hub, revision=repository.revision)

    def _file(self, name: str, resource: Resource, file: File) -> Path:
        target = self.directory / file.path
        if file.sha256 is None:
            raise ResourceError(
                f"{file.path}: nobody has verified its sha256 yet; look it up at "
                f"{file.urls[0] if file.urls else 'its origin'} and write it into the registry"
            )
        if target.is_file() and files.sha256(target) == file.sha256:
            return target
        mirrored = self.mirror / file.path if self.mirror else None
        if mirrored is not None and mirrored.is_file():
            return self._install(target, file, lambda path: shutil.copyfile(mirrored, path))
        self._permitted(name, resource, file.path)
        if file.made_by is None:
            return self._download(file, target)
        sources = [self._source(each) for each in file.made_from]
        text = _MAKERS[file.made_by](sources, file)
        return self._install(target, file, lambda path: path.write_text(text, encoding="utf-8"))

    def _permitted(self, name: str, resource: Resource | Repository, wanted: str) -> None:
        """Refuse the network where it may not be used."""
        if self.offline:
            raise ResourceError(
                f"{wanted} is not there and --offline forbids to download it; get it where there "
                f"is a network, or put it into the folder that {MIRROR} names, at the same path"
            )
        if resource.terms is not None and name not in self.accepted:
            raise ResourceError(
                f"{name} is under terms of its own ({resource.licence}): read {resource.terms}, "
                f"and if you accept them say so with `--accept {name}`"
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
                    f"{target.name}: what was to become it has sha256 {found}, the registry says "
                    f"{origin.sha256}; it is damaged or another version"
                )
        return target

    def _download(self, origin: Origin, target: Path) -> Path:
        """The first of the URLs that serves the right bytes; processes take turns."""
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        with _alone(part):
            if target.is_file() and files.sha256(target) == origin.sha256:
                return target
            return self._first_right(origin, target, part)

    def _first_right(self, origin: Origin, target: Path, part: Path) -> Path:
        failures = []
        for url in origin.urls:
            try:
                self._complete(url, part)
                verify(part, origin)
            except ResourceError as error:
                failures.append(str(error))
                continue
            part.replace(target)
            return target
        raise ResourceError(
            f"{target.name} cannot be downloaded: {'; '.join(failures)}; try again, or put it into "
            f"the folder that {MIRROR} names"
        )

    def _complete(self, url: str, part: Path) -> None:
        """Download until the end, going on after every interruption.

        Raises:
            ResourceError: the server refuses, or does not answer in all tries.
        """
        reason = ""
        for seconds in (0, *_PAUSES):
            self.pause(seconds)
            try:
                if self._go_on(url, part):
                    return
                reason = "the connection broke off"
            except urllib.error.HTTPError as error:
                reason = f"HTTP {error.code}"
                if error.code == _RANGE_REFUSED:
                    part.unlink(missing_ok=True)
                elif error.code not in _FOR_NOW:
                    break
            except urllib.error.URLError as error:
                reason = str(error.reason)
            except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
                reason = f"{type(error).__name__} {error}".strip()
        raise ResourceError(f"{url} ({reason})")

    def _go_on(self, url: str, part: Path) -> bool:
        """Append what is still missing; whether all of it came."""
        done = part.stat().st_size if part.exists() else 0
        request = urllib.request.Request(url, headers={"User-Agent": "needlework"})
        if done:
            request.add_header("Range", f"bytes={done}-")
        with self.open_url(request) as response:
            if response.status != _PARTIAL:
                done = 0
            announced = response.headers.get("Content-Length")
            with part.open("ab" if done else "wb") as out:
                shutil.copyfileobj(response, out, _CHUNK)
                size = out.tell()
        return announced is None or size >= done + int(announced)


def _sorted_lines(sources: Sequence[Path], file: File) -> str:
    """A member of an archive with its lines in order, which in the original is arbitrary."""
    with zipfile.ZipFile(sources[0]) as archive:
        lines = archive.read(str(file.member)).decode("utf-8").removesuffix("\n").split("\n")
    return "\n".join(sorted(lines))


def _ruler_prompts(sources: Sequence[Path], _: File) -> str:
    from needlework.released.source import prompts

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
