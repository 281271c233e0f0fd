"""Safe unpacking of a zip file from an unknown source."""

import posixpath
import shutil
import stat
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from needlework.door import opens
from needlework.errors import ArtifactError

MOST_FILES = 200_000
MOST_BYTES = 64 << 30
LONGEST_NAME = 1000
FREE_BYTES = 64 << 20
"""Below this an archive may unpack to any multiple of its size."""
MOST_EXPANSION = 100
"""Studies pack to a tenth or twentieth; a bomb to a thousandth."""


@opens("a zip file", "artifact.zip", error=ArtifactError, way_out="it is damaged: get it again")
def unpack(archive: Path, folder: Path) -> None:
    """Write the files of an archive below a folder.

    Raises:
        ArtifactError: it is no zip file, is damaged, names a path outside itself, a link or a file
            twice, or unpacks to suspiciously much.
    """
    with zipfile.ZipFile(archive) as opened:
        entries = [entry for entry in opened.infolist() if not entry.is_dir()]
        _check(archive, entries)
        for entry in entries:
            _write(opened, entry, folder / entry.filename)


def _check(archive: Path, entries: Sequence[zipfile.ZipInfo]) -> None:
    """Nothing is written before every name and size has been looked at."""
    if not entries:
        raise ArtifactError(f"{archive}: an empty zip file is no artifact")
    for entry in entries:
        if _leads_outside(entry.filename):
            raise ArtifactError(f"{archive}: {entry.filename!r} lies outside the artifact; refused")
        if not entry.filename.isprintable() or len(entry.filename) > LONGEST_NAME:
            raise ArtifactError(f"{archive}: {entry.filename!r:.100} is no printable name; refused")
        if entry.filename != posixpath.normpath(entry.filename):  # Another name for some file.
            raise ArtifactError(f"{archive}: {entry.filename!r} is no plain name; refused")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise ArtifactError(f"{archive}: {entry.filename!r} is a link; refused")
    name, times = Counter(entry.filename.casefold() for entry in entries).most_common(1)[0]
    if times > 1:
        raise ArtifactError(f"{archive}: holds {name!r} {times} times; refused")
    size = sum(entry.file_size for entry in entries)
    allowed = min(MOST_BYTES, max(FREE_BYTES, MOST_EXPANSION * archive.stat().st_size))
    if size > allowed or len(entries) > MOST_FILES:
        raise ArtifactError(
            f"{archive}: would unpack to {size} bytes in {len(entries)} files; at most {allowed} "
            f"bytes in {MOST_FILES} files are accepted; refused as a bomb"
        )


def _leads_outside(name: str) -> bool:
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    """Copy one file; what is longer than announced fails its checksum within that length."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(entry) as source, path.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
