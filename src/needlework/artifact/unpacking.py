"""Safe unpacking of a zip file from an unknown source."""

import posixpath
import shutil
import stat
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from needlework.door import opens
from needlework.errors import ArtifactError

MOST_FILES = 200_000
MOST_BYTES = 64 << 30
LONGEST_NAME = 1000
FREE_BYTES = 64 << 20
"""Below this an archive may unpack to any multiple of its size."""
MOST_EXPANSION = 100
"""Studies pack to a tenth or twentieth; a bomb to a thousandth."""
HEADER, LISTED = 30, 46
"""Bytes of what stands before a file, and of its line in the list at the end, beside its name."""
NONE: tuple[int, ...] = (0,)
BEHIND: tuple[int, ...] = (0, 12, 16, 20, 24)
"""Bytes that may follow a file whose size was not known when it was begun (bit 3 of its flags)."""
ENDS = (22, 98)
"""Bytes behind the list of files, of a small archive and of one beyond 4 GB."""
STREAMED, UTF_8 = 1 << 3, 1 << 11


@opens("a zip file", "artifact.zip", error=ArtifactError, way_out="it is damaged: get it again")
def unpack(archive: Path, folder: Path) -> None:
    """Write the files of an archive below a folder.

    Raises:
        ArtifactError: it is no zip file, is damaged, names a path outside itself, a link or a file
            twice, has bytes that are of none, or unpacks to suspiciously much.
    """
    with archive.open("rb") as file, zipfile.ZipFile(file) as opened:
        _check_layout(archive, file, opened)
        for entry in opened.infolist():
            _check_name(archive, entry)
        entries = [entry for entry in opened.infolist() if not entry.is_dir()]
        _check(archive, entries)
        for entry in entries:
            _write(opened, entry, folder / entry.filename)


def _check_name(archive: Path, entry: zipfile.ZipInfo) -> None:
    """A name, of a file or of a folder, that means one place inside, and nothing but that."""
    name = entry.filename.removesuffix("/")
    if _leads_outside(name):
        raise ArtifactError(f"{archive}: {name!r} lies outside the artifact; refused")
    if not name.isprintable() or len(name) > LONGEST_NAME:
        raise ArtifactError(f"{archive}: {name!r:.100} is no printable name; refused")
    if name != posixpath.normpath(name):  # Another name for some file.
        raise ArtifactError(f"{archive}: {name!r} is no plain name; refused")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFDIR if entry.is_dir() else stat.S_IFREG):
        raise ArtifactError(f"{archive}: {name!r} is a link or device; refused")


def _check(archive: Path, entries: Sequence[zipfile.ZipInfo]) -> None:
    """Nothing is written before every name and size has been looked at."""
    if not entries:
        raise ArtifactError(f"{archive}: an empty zip file is no artifact")
    name, times = Counter(_plain(entry.filename) for entry in entries).most_common(1)[0]
    if times > 1:
        raise ArtifactError(f"{archive}: holds {name!r} {times} times; refused")
    size = sum(entry.file_size for entry in entries)
    allowed = min(MOST_BYTES, max(FREE_BYTES, MOST_EXPANSION * archive.stat().st_size))
    if size > allowed or len(entries) > MOST_FILES:
        raise ArtifactError(
            f"{archive}: would unpack to {size} bytes in {len(entries)} files; at most {allowed} "
            f"bytes in {MOST_FILES} files are accepted; refused as a bomb"
        )


def _check_layout(archive: Path, file: BinaryIO, opened: zipfile.ZipFile) -> None:
    """Every byte is of one file, or of the list of them: what stands elsewhere nobody would check,
    and a file that begins with something else is that to other programs.
    """
    end, behind = 0, NONE
    entries = sorted(opened.infolist(), key=lambda entry: entry.header_offset)
    for entry in entries:
        _check_gap(archive, entry.header_offset, end, behind)
        file.seek(entry.header_offset + HEADER - 4)
        lengths = file.read(4)
        name, extra = (int.from_bytes(lengths[at : at + 2], "little") for at in (0, 2))
        end = entry.header_offset + HEADER + name + extra + entry.compress_size
        behind = BEHIND if entry.flag_bits & STREAMED else NONE
    _check_gap(archive, opened.start_dir, end, behind)
    listed = opened.start_dir + sum(map(_listed, entries))
    _check_gap(archive, archive.stat().st_size, listed, ENDS)


def _check_gap(archive: Path, place: int, end: int, allowed: Sequence[int]) -> None:
    if place - end not in allowed:
        raise ArtifactError(
            f"{archive}: has bytes between {end} and {place} that are of no file; refused"
        )


def _listed(entry: zipfile.ZipInfo) -> int:
    """The bytes of a file's line in the list."""
    name = entry.orig_filename.encode("utf-8" if entry.flag_bits & UTF_8 else "cp437")
    return LISTED + len(name) + len(entry.extra) + len(entry.comment)


def _plain(name: str) -> str:
    """The same for names that some machines, or some people, take for the same."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _leads_outside(name: str) -> bool:
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    """Copy one file; what is longer than announced fails its checksum within that length."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(entry) as source, path.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
