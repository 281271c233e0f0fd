"""Downloads that go on where they broke off, are tried again, and end.

What was downloaded so far waits beside a file as `.part`.
"""

import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from needlework.errors import ResourceError
from needlework.files import lock
from needlework.terminal import Meter, silent

_CHUNK = 1 << 20
_PAUSES = (1, 2, 4)
"""Seconds to wait before every further try, where the server does not ask for more."""
_PATIENCE = 120
"""Seconds that a server may ask us to wait."""
_WINDOW, _SLOWEST = 60, 1000
"""Seconds in which so many bytes a second must come, or the connection counts as broken."""
_LARGEST = 1 << 30
"""Bytes of a file whose size neither the caller nor the server states."""
_PARTIAL, _RANGE_REFUSED = 206, 416
_FOR_NOW = frozenset({408, 429, 500, 502, 503, 504})
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})

Open = Callable[[urllib.request.Request], AbstractContextManager[Any]]
Check = Callable[[Path], None]
"""Raises ResourceError for a file that has other bytes than it should."""


@contextmanager
def _alone(part: Path) -> Iterator[None]:
    """Wait until no other process writes to `part`."""
    with part.with_name(f".{part.name}.lock").open("a") as guard:
        lock(guard.fileno(), part, waits=True)
        yield


def open_url(request: urllib.request.Request) -> AbstractContextManager[Any]:
    """An answer from the network."""
    response: AbstractContextManager[Any] = urllib.request.urlopen(request, timeout=60)
    return response


@dataclass(frozen=True)
class _Wanted:
    """One file at one URL."""

    url: str
    part: Path
    headers: Mapping[str, str]
    size: int | None
    """Bytes, where they are known before."""


@dataclass(frozen=True)
class Downloader:
    """How to reach the network."""

    open_url: Open = open_url
    pause: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    meter: Meter = silent
    """Shows a person how far a file has come."""

    def get(
        self,
        urls: Sequence[str],
        target: Path,
        *,
        check: Check,
        size: int | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> Path:
        """`target`, from the first URL that serves the right bytes; processes take turns.

        `headers` go to the host of the URL alone, not to where it redirects; no more than `size`
        bytes are taken.

        Raises:
            ResourceError: no URL serves them.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        with _alone(part):
            if target.is_file() and _accepted(target, check):
                return target
            failures = []
            for url in urls:
                try:
                    self._right(_Wanted(url, part, headers, size), check)
                except ResourceError as error:
                    failures.append(str(error))
                    continue
                part.replace(target)
                return target
        raise ResourceError("; ".join(failures))

    def _right(self, wanted: _Wanted, check: Check) -> None:
        """Download until the bytes are right: what went on from wrong ones is begun anew, once."""
        for _ in range(2):
            went_on = wanted.part.exists()
            self._complete(wanted)
            try:
                check(wanted.part)
            except ResourceError:
                wanted.part.unlink()
                if not went_on:
                    raise
            else:
                return

    def _complete(self, wanted: _Wanted) -> None:
        """Download until the end, going on after every interruption.

        Raises:
            ResourceError: the server refuses, sends too much, or does not answer in all tries.
        """
        reason, asked = "", 0
        for seconds in (0, *_PAUSES):
            self.pause(max(seconds, asked))
            asked = 0
            try:
                if self._go_on(wanted):
                    return
                reason = "the connection broke off"
            except urllib.error.HTTPError as error:
                reason, asked = f"HTTP {error.code}", _number(error.headers.get("Retry-After")) or 0
                if error.code == _RANGE_REFUSED:
                    wanted.part.unlink(missing_ok=True)
                elif error.code not in _FOR_NOW:
                    break
                if asked > _PATIENCE:
                    reason = f"{reason}, try again in {asked} seconds"
                    break
            except urllib.error.URLError as error:
                reason = str(error.reason)
            except _NETWORK as error:
                reason = f"{type(error).__name__} {error}".strip()
        raise ResourceError(f"{wanted.url} ({reason})")

    def _go_on(self, wanted: _Wanted) -> bool:
        """Append what is still missing; whether all of it came."""
        part = wanted.part
        done = part.stat().st_size if part.exists() else 0
        if done and done == wanted.size:
            return True
        request = urllib.request.Request(wanted.url, headers={"User-Agent": "needlework"})
        for name, value in wanted.headers.items():
            request.add_unredirected_header(name, value)
        if done:
            request.add_header("Range", f"bytes={done}-")
        with self.open_url(request) as response:
            if response.status != _PARTIAL:
                done = 0
            elif _start(response.headers.get("Content-Range"), done) != done:
                part.unlink(missing_ok=True)
                return False
            announced = _number(response.headers.get("Content-Length"))
            end = None if announced is None else done + announced
            with part.open("ab" if done else "wb") as out:
                self._copy(response, out, wanted, end=end)
                return end is None or out.tell() >= end

    def _copy(
        self, response: BufferedIOBase, out: IO[bytes], wanted: _Wanted, *, end: int | None
    ) -> None:
        """Write what comes, as long as it comes fast enough and is not too much."""
        limit = wanted.size if wanted.size is not None else end or _LARGEST
        began, before = self.clock(), out.tell()
        with self.meter(out.name, wanted.size or end, before) as tell:
            while block := response.read1(_CHUNK):
                _write(out, block)
                tell(len(block))
                if out.tell() > limit:
                    wanted.part.unlink()
                    raise ResourceError(
                        f"{wanted.url} sends more than {limit:,} bytes, all it may have"
                    )
                seconds = self.clock() - began
                if seconds > _WINDOW:
                    if out.tell() - before < seconds * _SLOWEST:
                        raise TimeoutError(f"fewer than {_SLOWEST:,} bytes a second")
                    began, before = began + seconds, out.tell()


_NETWORK = (http.client.HTTPException, TimeoutError, ConnectionError, ValueError)
"""What a connection can end in; ValueError is urllib's word for an address that is none."""


def _write(out: IO[bytes], block: bytes) -> None:
    try:
        out.write(block)
        out.flush()
    except OSError as error:
        raise ResourceError(
            f"{out.name} cannot be written ({error.strerror}); make room and fetch it again, which "
            "goes on from there"
        ) from error


def _start(content_range: str | None, asked: int) -> int:
    """Where the bytes of an answer begin; as asked, where it does not say."""
    found = re.match(r"bytes (\d{1,18})-", content_range or "")
    return int(found[1]) if found else asked


def _number(header: str | None) -> int | None:
    """The number in a header; None where there is none, or something else."""
    text = (header or "").strip()
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def _accepted(path: Path, check: Check) -> bool:
    try:
        check(path)
    except ResourceError:
        return False
    return True
