"""Downloads that go on where they broke off, and are tried again.

Knows HTTP; does not know what files are for, or which bytes are the right ones. What was downloaded
so far waits beside a file as `.part`.
"""

import fcntl
import http.client
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from needlework.errors import ResourceError

_CHUNK = 1 << 20
_PAUSES = (1, 2, 4)
"""Seconds to wait before every further try."""
_PARTIAL, _RANGE_REFUSED = 206, 416
_FOR_NOW = frozenset({408, 429, 500, 502, 503, 504})
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})

Open = Callable[[urllib.request.Request], AbstractContextManager[Any]]
Check = Callable[[Path], None]
"""Raises ResourceError for a file that has other bytes than it should."""


@contextmanager
def _alone(part: Path) -> Iterator[None]:
    """Wait until no other process writes to `part`."""
    with part.with_name(f".{part.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def open_url(request: urllib.request.Request) -> AbstractContextManager[Any]:
    """An answer from the network."""
    response: AbstractContextManager[Any] = urllib.request.urlopen(request, timeout=60)
    return response


@dataclass(frozen=True)
class Downloader:
    """How to reach the network."""

    open_url: Open = open_url
    pause: Callable[[float], None] = time.sleep

    def get(
        self,
        urls: Sequence[str],
        target: Path,
        *,
        check: Check,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> Path:
        """`target`, from the first URL that serves the right bytes; processes take turns.

        `headers` go to the host of the URL alone, not to where it redirects.

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
                    self._complete(url, part, headers)
                    check(part)
                except ResourceError as error:
                    failures.append(str(error))
                    continue
                part.replace(target)
                return target
        raise ResourceError("; ".join(failures))

    def _complete(self, url: str, part: Path, headers: Mapping[str, str]) -> None:
        """Download until the end, going on after every interruption.

        Raises:
            ResourceError: the server refuses, or does not answer in all tries.
        """
        reason = ""
        for seconds in (0, *_PAUSES):
            self.pause(seconds)
            try:
                if self._go_on(url, part, headers):
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

    def _go_on(self, url: str, part: Path, headers: Mapping[str, str]) -> bool:
        """Append what is still missing; whether all of it came."""
        done = part.stat().st_size if part.exists() else 0
        request = urllib.request.Request(url, headers={"User-Agent": "needlework"})
        for name, value in headers.items():
            request.add_unredirected_header(name, value)
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


def _accepted(path: Path, check: Check) -> bool:
    try:
        check(path)
    except ResourceError:
        return False
    return True
