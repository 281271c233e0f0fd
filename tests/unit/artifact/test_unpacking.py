"""Unpacking: nothing outside the folder, no links, no bombs, and one line for each."""

import io
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from needlework.artifact import unpacking
from needlework.artifact.unpacking import unpack
from needlework.errors import ArtifactError


def zipped(folder: Path, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    path = folder / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def test_files_come_out_as_they_went_in(tmp_path: Path) -> None:
    unpack(zipped(tmp_path, ("a/b.txt", b"text"), ("c", b"")), tmp_path / "out")
    assert (tmp_path / "out/a/b.txt").read_bytes() == b"text"
    assert (tmp_path / "out/c").read_bytes() == b""


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/etc/evil", "C:/evil", "a\\..\\evil", "a/..\\evil"]
)
def test_a_path_outside_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    archive = zipped(tmp_path, ("good", b"x"), (name, b"evil"))
    with pytest.raises(ArtifactError, match="lies outside the artifact"):
        unpack(archive, tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == [archive]


@pytest.mark.parametrize("name", ["./good", "a//b", "a/./b"])
def test_another_name_for_a_place_is_refused(tmp_path: Path, name: str) -> None:
    """It would be written over the file that has the plain name."""
    with pytest.raises(ArtifactError, match="no plain name"):
        unpack(zipped(tmp_path, ("good", b"x"), (name, b"evil")), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_damaged_entry_is_told_in_one_line(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        archive.writestr("text", b"needle in a haystack" * 1000)
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[44:60] = bytes(16)
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ArtifactError, match="is not a zip file that can be read"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_a_name_that_is_no_text_is_told_in_one_line(tmp_path: Path) -> None:
    archive = zipped(tmp_path, ("näme", b"x"))
    archive.write_bytes(archive.read_bytes().replace("näme".encode(), b"n\xff\xffme"))
    with pytest.raises(ArtifactError, match="is not a zip file that can be read"):
        unpack(archive, tmp_path / "out")


def test_a_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(ArtifactError, match="is a link"):
        unpack(zipped(tmp_path, (link, b"/etc/passwd")), tmp_path / "out")


@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK, stat.S_IFDIR])
def test_what_is_no_plain_file_is_refused(tmp_path: Path, kind: int) -> None:
    entry = zipfile.ZipInfo("device")
    entry.external_attr = (kind | 0o777) << 16
    with pytest.raises(ArtifactError, match="is a link or device"):
        unpack(zipped(tmp_path, (entry, b"x")), tmp_path / "out")


def test_a_folder_outside_is_refused_though_nothing_would_be_written(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="lies outside the artifact"):
        unpack(zipped(tmp_path, ("a", b"x"), ("../../b/", b"")), tmp_path / "out")


def test_a_file_below_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="is not a zip file that can be read"):
        unpack(zipped(tmp_path, ("a", b"x"), ("a/b", b"x")), tmp_path / "out")


def moved(content: bytes) -> bytes:
    """The list of files a hundred bytes further down, and found there."""
    end = content.rindex(b"PK\5\6")
    place = int.from_bytes(content[end + 16 : end + 20], "little")
    told = (place + 100).to_bytes(4, "little")
    return content[:place] + bytes(100) + content[place : end + 16] + told + content[end + 20 :]


@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"#!/bin/sh\nid\n" + content,
        lambda content: b"<html><script>1</script>" + content,
        lambda content: content + b"<html>",
        lambda content: content[:-2] + b"\x04\0note",
        moved,
    ],
    ids=["a program before", "a page before", "behind", "a comment", "between"],
)
def test_bytes_that_are_of_no_file_are_refused(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    archive = zipped(tmp_path, ("a", b"x"), ("b", b"y"))
    archive.write_bytes(change(archive.read_bytes()))
    with pytest.raises(ArtifactError, match="that are of no file; refused"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


class Stream(io.RawIOBase):
    """Where nothing can be written twice, so that sizes come behind the files."""

    def __init__(self) -> None:
        self.content = b""

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self.content += bytes(piece)
        return len(piece)


@pytest.mark.parametrize("big", [False, True], ids=["small", "zip64"])
def test_archives_of_other_programs_come_out_too(tmp_path: Path, big: bool) -> None:
    stream = Stream()
    with zipfile.ZipFile(cast(Any, stream), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/", b"")
        for name in ("a/b", "c", "näme"):
            with archive.open(name, "w", force_zip64=big) as file:
                file.write(b"text")
    assert b"PK\7\x08" in stream.content
    (tmp_path / "a.zip").write_bytes(stream.content)
    unpack(tmp_path / "a.zip", tmp_path / "out")
    assert (tmp_path / "out/näme").read_bytes() == b"text"


def test_a_name_given_twice_is_refused(tmp_path: Path) -> None:
    """Two readers may see two different files, on some machines by case alone."""
    with pytest.raises(ArtifactError, match="holds 'readme' 2 times"):
        unpack(zipped(tmp_path, ("README", b"1"), ("readme", b"2")), tmp_path / "out")


@pytest.mark.parametrize("other", ["e\u0301.md", "\u00c9.MD", "\uff45\u0301.md"])
def test_a_name_written_with_other_characters_is_the_same_name(tmp_path: Path, other: str) -> None:
    with pytest.raises(ArtifactError, match=r"holds 'é\.md' 2 times"):
        unpack(zipped(tmp_path, ("é.md", b"1"), (other, b"2")), tmp_path / "out")


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten megabytes of zeros, with the free allowance made small."""
    monkeypatch.setattr(unpacking, "FREE_BYTES", 1000)
    with pytest.raises(ArtifactError, match="refused as a bomb"):
        unpack(zipped(tmp_path, ("zeros", bytes(10_000_000))), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MOST_FILES", 2)
    with pytest.raises(ArtifactError, match="in 3 files"):
        unpack(zipped(tmp_path, ("a", b""), ("b", b""), ("c", b"")), tmp_path / "out")


def test_more_bytes_than_announced_are_refused(tmp_path: Path) -> None:
    """A size that lies, in both places that tell it."""
    archive = zipped(tmp_path, ("zeros", bytes(100_000)))
    size, lie = (100_000).to_bytes(4, "little"), (10).to_bytes(4, "little")
    archive.write_bytes(archive.read_bytes().replace(size, lie))
    with pytest.raises(ArtifactError, match="damaged"):
        unpack(archive, tmp_path / "out")
    assert (tmp_path / "out/zeros").stat().st_size <= 10


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04 and then nothing"])
def test_what_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ArtifactError, match="is not a zip file"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_an_empty_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="empty"):
        unpack(zipped(tmp_path), tmp_path / "out")
