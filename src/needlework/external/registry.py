"""Files that come from outside: what `resources/registry.yaml` says of them, and proof of it.

Nothing is used unverified: a file is handed out only when its SHA-256 is the registry's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from needlework import installed
from needlework.errors import ResourceError
from needlework.files import sha256
from needlework.parsing import Closed, parse, read, unknown

REGISTRY = installed.root() / "resources" / "registry.yaml"
DIRECTORY = Path("resources/external")

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Origin(Closed):
    """Bytes that can be downloaded."""

    urls: tuple[str, ...] = ()
    """Tried in this order; all serve the same bytes."""
    sha256: str | None = None
    """Null where it is not looked up yet: such a file is refused."""
    bytes: PositiveInt | None = None

    @model_validator(mode="after")
    def _hexadecimal(self) -> "Origin":
        if self.sha256 is not None and not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"sha256 {self.sha256!r} is not 64 hexadecimal digits")
        return self


class Package(Closed):
    """The wheel of a package of PyPI."""

    requirement: str = Field(pattern=r"^[A-Za-z0-9._-]+==[A-Za-z0-9.+!_-]+$")
    """`NAME==VERSION`."""
    sha256: str = Field(pattern=_SHA256.pattern)
    bytes: PositiveInt


class File(Origin):
    """A file below the folder of resources, downloaded, made from sources or in a package."""

    path: str
    package: Package | None = None
    """The package that has it as its `member`."""
    made_by: Literal["ruler_prompts", "sorted_lines"] | None = None
    made_from: tuple[str, ...] = ()
    """Names of sources."""
    member: str | None = None
    """The part of an archive or package that is meant."""

    @model_validator(mode="after")
    def _member_of_package(self) -> "File":
        if self.package is not None and (self.member is None or self.urls or self.made_by):
            raise ValueError("a file in a `package` has a `member`, and neither urls nor made_by")
        return self


class Resource(Closed):
    """Files that belong together."""

    licence: str
    needed_by: str
    terms: str | None = None
    """A page whose terms must be accepted before the files may be downloaded."""
    note: str | None = None
    instead: str | None = None
    """What a study can do without it."""
    files: tuple[File, ...] = Field(min_length=1)


class Registry(Closed):
    """Everything that comes from outside."""

    sources: Mapping[str, Origin]
    """What files are made from; never used themselves."""
    resources: Mapping[str, Resource]

    def free(self) -> list[str]:
        """The resources without terms of their own."""
        return [name for name, each in self.resources.items() if each.terms is None]

    def resource(self, name: str) -> Resource:
        """The resource of a name.

        Raises:
            ResourceError: there is none.
        """
        if name not in self.resources:
            raise ResourceError(unknown(name, self.resources))
        return self.resources[name]

    def find(self, name_or_path: str) -> tuple[str, tuple[File, ...]]:
        """A resource's name and the files meant: all of it, or the one at a path.

        Raises:
            ResourceError: there is neither such a resource nor such a file.
        """
        for name, resource in self.resources.items():
            for file in resource.files:
                if file.path == name_or_path:
                    return name, (file,)
        return name_or_path, self.resource(name_or_path).files


def registry(path: Path = REGISTRY) -> Registry:
    """The registry in a file.

    Raises:
        StudyError: the file is absent or not a registry.
    """
    return parse(Registry, read(path), where=str(path))


@dataclass(frozen=True)
class Resources:
    """A folder of resources."""

    folder: Path
    registry: Registry

    def path(self, name: str) -> Path:
        """The only file of a resource, verified.

        Raises:
            ResourceError: the file is absent or is not the registry's.
        """
        (path,) = self._verified(name)
        return path

    def directory(self, name: str) -> Path:
        """The folder that holds the files of a resource, all verified.

        Raises:
            ResourceError: a file is absent or is not the registry's.
        """
        return self._verified(name)[0].parent

    def _verified(self, name: str) -> list[Path]:
        paths = []
        for file in self.registry.resource(name).files:
            path = self.folder / file.path
            if not path.is_file():
                raise ResourceError(f"{path} is not there; get it with `needlework fetch {name}`")
            verify(path, file)
            paths.append(path)
        return paths


def verify(path: Path, origin: Origin) -> None:
    """Accept a file whose digest is the registry's.

    Raises:
        ResourceError: it is another, or the registry has none.
    """
    if origin.sha256 is None:
        raise ResourceError(
            f"{path} cannot be verified: the registry has no sha256 for it; look it up at its "
            f"origin and write it into {REGISTRY.name}"
        )
    found = sha256(path)
    if found != origin.sha256:
        raise ResourceError(
            f"{path} has sha256 {found}, the registry says {origin.sha256}; it is damaged or "
            "another version: delete it and fetch it again"
        )
