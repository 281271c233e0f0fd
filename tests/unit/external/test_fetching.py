"""Getting files: mirrors, interrupted downloads, refusals. The network is a function here."""

import hashlib
import io
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from needlework.cli import cli
from needlework.errors import ResourceError
from needlework.external import fetching
from needlework.external.downloading import Downloader
from needlework.external.fetching import Fetcher
from needlework.external.registry import File, Registry

URL = "https://example.org/file"
CONTENT = bytes(range(256)) * 40


@dataclass
class Server:
    """Serves bytes by URL, in pieces if it is told to break off, and remembers what was asked."""

    pages: Mapping[str, bytes]
    breaks_after: int | None = None
    """Bytes of one answer before the connection breaks off."""
    status: int | None = None
    """An error to answer with."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of every answer, in place of the right ones."""
    ranges: list[str | None] = field(default_factory=list)

    @contextmanager
    def open(self, request: urllib.request.Request) -> Iterator[Any]:
        asked = request.get_header("Range")
        self.ranges.append(asked)
        if self.status is not None:
            told = Message()
            for name, value in self.headers.items():
                told[name] = value
            raise urllib.error.HTTPError(request.full_url, self.status, "no", told, None)
        if request.full_url not in self.pages:
            raise urllib.error.URLError("name or service not known")
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        content = self.pages[request.full_url][start:]
        answer = io.BytesIO(content[: self.breaks_after])
        answer.status = 206 if start else 200  # type: ignore[attr-defined]
        right = {"Content-Length": str(len(content))}
        answer.headers = {**right, **self.headers}  # type: ignore[attr-defined]
        yield answer


def registry(content: bytes = CONTENT, **changes: Any) -> Registry:
    """A registry of one file, with some of its entry changed."""
    file = {"path": "a/b.bin", "urls": [URL], "sha256": hashlib.sha256(content).hexdigest()}
    terms = changes.pop("terms", None)
    entry = {
        "licence": "Gemma",
        "needed_by": "tests",
        "terms": terms,
        "files": [file | changes],
    }
    return Registry.model_validate({"sources": {}, "resources": {"thing": entry}})


def fetch(folder: Path, server: Server, entries: Registry | None = None, **options: Any) -> Path:
    """Fetch the only file."""
    fetcher = Fetcher(
        registry=entries or registry(),
        directory=folder,
        open_url=server.open,
        pause=lambda _: None,
        **options,
    )
    (path,) = fetcher.fetch("thing")
    return path


def test_a_download_is_verified_and_kept(tmp_path: Path) -> None:
    server = Server({URL: CONTENT})
    assert fetch(tmp_path, server).read_bytes() == CONTENT
    fetch(tmp_path, server)
    assert len(server.ranges) == 1


def test_an_interrupted_download_goes_on_where_it_broke_off(tmp_path: Path) -> None:
    server = Server({URL: CONTENT}, breaks_after=4000)
    assert fetch(tmp_path, server).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=4000-", "bytes=8000-"]


def test_what_was_downloaded_waits_for_the_next_call(tmp_path: Path) -> None:
    """Also after the process was killed."""
    with pytest.raises(ResourceError, match="broke off"):
        fetch(tmp_path, Server({URL: CONTENT}, breaks_after=2000))
    server = Server({URL: CONTENT})
    assert fetch(tmp_path, server).read_bytes() == CONTENT
    assert server.ranges == ["bytes=8000-"]


def test_wrong_bytes_are_refused_and_leave_no_file(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="the registry says"):
        fetch(tmp_path, Server({URL: b"something else"}))
    assert not (tmp_path / "a/b.bin").exists()


def test_the_second_url_is_tried_when_the_first_is_dead(tmp_path: Path) -> None:
    other = "https://example.org/other"
    path = fetch(tmp_path, Server({other: CONTENT}), registry(urls=[URL, other]))
    assert path.read_bytes() == CONTENT


def test_a_damaged_file_is_fetched_anew(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b.bin").write_bytes(b"damaged")
    assert fetch(tmp_path, Server({URL: CONTENT})).read_bytes() == CONTENT


def test_no_network_is_one_line_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"name or service not known.*NEEDLEWORK_MIRROR"):
        fetch(tmp_path, Server({}))


def test_a_refusal_is_not_tried_again(tmp_path: Path) -> None:
    server = Server({}, status=404)
    with pytest.raises(ResourceError, match="HTTP 404"):
        fetch(tmp_path, server)
    assert len(server.ranges) == 1


def test_a_busy_server_is_tried_again(tmp_path: Path) -> None:
    server = Server({}, status=503)
    with pytest.raises(ResourceError, match="HTTP 503"):
        fetch(tmp_path, server)
    assert len(server.ranges) == 4


def test_a_server_is_given_the_time_it_asks_for(tmp_path: Path) -> None:
    pauses: list[float] = []
    server = Server({}, status=429, headers={"Retry-After": "30"})
    with pytest.raises(ResourceError, match="HTTP 429"):
        Downloader(server.open, pauses.append).get([URL], tmp_path / "a", check=lambda _: None)
    assert pauses == [0, 30, 30, 30]
    server = Server({}, status=429, headers={"Retry-After": "3600"})
    with pytest.raises(ResourceError, match="HTTP 429, try again in 3600 seconds"):
        fetch(tmp_path, server)
    assert len(server.ranges) == 1


def test_a_short_wrong_page_is_not_gone_on_with(tmp_path: Path) -> None:
    """With status 200, as portals and dead hosts serve it: its bytes would stay for ever."""
    other = "https://example.org/other"
    pages = {URL: b"<html>", other: CONTENT}
    assert fetch(tmp_path, Server(pages), registry(urls=[URL, other])).read_bytes() == CONTENT


def test_what_waits_from_a_wrong_page_is_begun_anew(tmp_path: Path) -> None:
    part = tmp_path / "a/b.bin.part"
    part.parent.mkdir()
    part.write_bytes(b"<html>")
    server = Server({URL: CONTENT})
    assert fetch(tmp_path, server).read_bytes() == CONTENT
    assert server.ranges == ["bytes=6-", None]


def test_what_is_complete_but_for_its_name_is_not_asked_for(tmp_path: Path) -> None:
    """Killed between the last byte and the check."""
    part = tmp_path / "a/b.bin.part"
    part.parent.mkdir()
    part.write_bytes(CONTENT)
    server = Server({URL: CONTENT})
    assert fetch(tmp_path, server, registry(bytes=len(CONTENT))).read_bytes() == CONTENT
    assert server.ranges == []


def test_a_piece_from_another_place_is_not_taken(tmp_path: Path) -> None:
    part = tmp_path / "a/b.bin.part"
    part.parent.mkdir()
    part.write_bytes(CONTENT[:100])
    server = Server({URL: CONTENT}, headers={"Content-Range": "bytes 50-10239/10240"})
    assert fetch(tmp_path, server).read_bytes() == CONTENT
    assert server.ranges == ["bytes=100-", None]


@pytest.mark.parametrize("announced", ["many", "", "-1", "9" * 5000])
def test_an_announcement_that_is_no_number_counts_as_none(tmp_path: Path, announced: str) -> None:
    server = Server({URL: CONTENT}, headers={"Content-Length": announced})
    assert fetch(tmp_path, server).read_bytes() == CONTENT


def test_a_body_without_end_is_cut_where_it_should_end(tmp_path: Path) -> None:
    server = Server({URL: CONTENT * 200}, headers={"Content-Length": ""})
    with pytest.raises(ResourceError, match=r"sends more than 10,240 bytes, all it may have"):
        fetch(tmp_path, server, registry(bytes=len(CONTENT)))
    assert not list(tmp_path.rglob("b.bin*"))


def test_a_trickle_counts_as_a_broken_connection(tmp_path: Path) -> None:
    """One byte in a while would keep a time limit of silence from ever coming."""
    server = Server({URL: CONTENT * 1000})
    clock = iter(range(0, 10**6, 6100))
    slow = Downloader(server.open, lambda _: None, lambda: next(clock))
    with pytest.raises(ResourceError, match="fewer than 1,000 bytes a second"):
        slow.get([URL], tmp_path / "a", check=lambda _: None)


def test_an_address_that_is_none_is_one_line(tmp_path: Path) -> None:
    """A broken `Location`, for one."""
    downloader = Downloader(pause=lambda _: None)
    with pytest.raises(ResourceError, match="ValueError"):
        downloader.get(["nowhere"], tmp_path / "a", check=lambda _: None)


def test_the_mirror_comes_first(tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    (mirror / "a").mkdir(parents=True)
    (mirror / "a/b.bin").write_bytes(CONTENT)
    server = Server({})
    path = fetch(tmp_path / "here", server, mirror=mirror, offline=True)
    assert path.read_bytes() == CONTENT
    assert not server.ranges


def test_a_mirror_with_other_bytes_is_refused(tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    (mirror / "a").mkdir(parents=True)
    (mirror / "a/b.bin").write_bytes(b"stale")
    with pytest.raises(ResourceError, match="damaged or another version"):
        fetch(tmp_path / "here", Server({URL: CONTENT}), mirror=mirror)
    assert not list((tmp_path / "here").rglob("*b.bin*"))


def test_offline_means_offline(tmp_path: Path) -> None:
    server = Server({URL: CONTENT})
    with pytest.raises(ResourceError, match="--offline"):
        fetch(tmp_path, server, offline=True)
    assert not server.ranges


def test_a_file_nobody_verified_is_refused(tmp_path: Path) -> None:
    """Nothing is ever used unverified, so a missing digest is not a free pass."""
    server = Server({URL: CONTENT})
    with pytest.raises(ResourceError, match="its sha256 is not verified yet"):
        fetch(tmp_path, server, registry(sha256=None))
    assert not server.ranges


def test_terms_must_be_accepted_first(tmp_path: Path) -> None:
    server = Server({URL: CONTENT})
    gated = registry(terms="https://example.org/terms")
    with pytest.raises(ResourceError, match=r"example.org/terms.*--accept thing"):
        fetch(tmp_path, server, gated)
    path = fetch(tmp_path, server, gated, accepted=frozenset({"thing"}))
    assert path.read_bytes() == CONTENT


def test_a_file_is_made_from_a_verified_archive(tmp_path: Path) -> None:
    """Punkt's tables are sets: their order in the official archive is arbitrary."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("in/words.txt", "b\nc\na")
    content = archive.getvalue()
    origin = {"urls": [URL], "sha256": hashlib.sha256(content).hexdigest()}
    file = {
        "path": "words.txt",
        "sha256": hashlib.sha256(b"a\nb\nc").hexdigest(),
        "made_by": "sorted_lines",
        "made_from": ["archive.zip"],
        "member": "in/words.txt",
    }
    entry = {"licence": "MIT", "needed_by": "tests", "files": [file]}
    entries = Registry.model_validate(
        {
            "sources": {"archive.zip": origin},
            "resources": {"thing": entry},
        }
    )
    assert fetch(tmp_path, Server({URL: content}), entries).read_text() == "a\nb\nc"


def test_a_path_means_that_file_alone(tmp_path: Path) -> None:
    """A workflow asks for files, each in a job of its own."""
    others = registry().resources["thing"].files[0].model_dump()
    entries = registry()
    files = (*entries.resources["thing"].files, File(**others | {"path": "a/c.bin"}))
    thing = entries.resources["thing"].model_copy(update={"files": files})
    entries = entries.model_copy(update={"resources": {"thing": thing}})
    fetcher = Fetcher(registry=entries, directory=tmp_path, open_url=Server({URL: CONTENT}).open)
    assert list(fetcher.fetch("a/c.bin")) == [tmp_path / "a/c.bin"]
    assert not (tmp_path / "a/b.bin").exists()


def test_a_mirror_that_is_not_there_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(fetching.MIRROR, "/nowhere")
    with pytest.raises(ResourceError, match="NEEDLEWORK_MIRROR=/nowhere is not a folder"):
        fetching.mirror_from_environment()


def test_what_cannot_be_had_does_not_keep_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []

    def fetch(self: Fetcher, name: str) -> Iterator[Path]:
        if name != "essays":
            raise ResourceError(f"{name} is not in the mirror; add it")
        fetched.append(name)
        yield self.directory / name

    monkeypatch.setattr(Fetcher, "fetch", fetch)
    monkeypatch.delenv(fetching.MIRROR, raising=False)
    command = ["fetch", "squad", "essays", "punkt", "--offline", "--directory", str(tmp_path)]
    result = CliRunner().invoke(cli, command)
    assert fetched == ["essays"]
    assert isinstance(result.exception, ResourceError)
    assert str(result.exception).startswith("squad, punkt could not be fetched")
    for name in ("squad", "punkt"):
        assert f"{name}: {name} is not in the mirror; add it\n" in result.stderr
