"""Finished answers, one JSON line each, appended as they come: what a killed job does not lose.

A line is found again by its key, which says everything that decides the answer (`engine.identity`),
so lines of other models, prompts or decodings do no harm; and it carries a checksum, so a line that
was changed does none either.
"""

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Annotated, Self, TypeVar

from pydantic import Field, ValidationError

from needlework.door import opens
from needlework.errors import EngineError, NoLocksError
from needlework.files import json_line, lock, naming
from needlework.parsing import Closed
from needlework.records import StopReason

log = logging.getLogger(__name__)

SYNC_SECONDS = 2.0
"""A line is with the system at once, which survives a kill; on the disk within this time."""
CHECKSUM = b', "sha256": "'
"""What stands between the answer of a line and the digest of all before it."""


class Line(Closed):
    """A record with a key. Failures are not written: they get another chance."""

    key: str


Kind = TypeVar("Kind", bound=Line)


class Entry(Line):
    """One finished answer."""

    tokens: tuple[Annotated[int, Field(ge=0)], ...]
    stop_reason: StopReason
    libraries: str
    """The versions of what computed it."""
    likelihood: tuple[Annotated[float, Field(le=0, allow_inf_nan=False)], ...] | None = Field(
        None, exclude_if=lambda value: value is None
    )
    """The log-likelihoods of the texts that its key names, where it names some."""


def read_entries(path: Path, *, vocabulary: int) -> dict[str, Entry]:
    """Every sound entry of a journal, by key; another process may be writing the next one.

    Sound is a line whose checksum is right and whose tokens are below `vocabulary`. How many are
    not, be they damaged or of an earlier version of needlework, is told in one line of the log.
    """
    return read_lines(path, Entry, lambda entry: max(entry.tokens, default=0) < vocabulary)


@opens("a journal", "cell.journal", error=EngineError, way_out="delete it")
def read_lines(path: Path, kind: type[Kind], is_sound: Callable[[Kind], bool]) -> dict[str, Kind]:
    """Every line of a journal that is a `kind`, has its checksum and is sound, by key.

    The last of several with one key counts; how many lines are none is told as `read_entries` does.
    """
    entries, unsound = {}, 0
    lines = path.read_bytes().split(b"\n")[:-1]
    for line in lines:
        entry = _entry(line, kind)
        if entry is not None and is_sound(entry):
            entries[entry.key] = entry
        else:
            unsound += 1
    if unsound:
        log.warning(
            "%s: %d of %d lines are damaged or of an earlier version; what they answered is "
            "computed again",
            path,
            unsound,
            len(lines),
        )
    return entries


def _line(entry: Line) -> bytes:
    """An entry as it is written."""
    told = json_line(entry.model_dump(mode="json")).encode().removesuffix(b"}\n")
    return told + CHECKSUM + _checksum(told) + b'"}\n'


def _entry(line: bytes, kind: type[Kind]) -> Kind | None:
    """The entry in a line without its end; None where the checksum or anything else is wrong."""
    told, _, checksum = line.rpartition(CHECKSUM)
    if checksum != _checksum(told) + b'"}':
        return None
    try:
        return kind.model_validate_json(told + b"}")
    except ValidationError:
        return None


def _checksum(told: bytes) -> bytes:
    """Sixteen hexadecimal digits: enough for what chance or an editor changes."""
    return hashlib.sha256(told).hexdigest()[:16].encode()


class Journal:
    """An append-only file of entries that one process has open at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1
        self._synced = 0.0

    def __enter__(self) -> Self:
        """Lock the file and cut a line that was torn when its writer was killed.

        Raises:
            EngineError: another process has it open.
            NoLocksError: the file system cannot tell whether one has.
        """
        with naming(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            lock(self._file, self.path, waits=False)
        except NoLocksError:
            os.close(self._file)
            raise
        except BlockingIOError as error:
            os.close(self._file)
            raise EngineError(
                f"{self.path}: another process works on this cell; wait for it, or stop it first"
            ) from error
        self._cut_torn_line()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Bring everything to the disk and let the next process in."""
        try:
            with naming(self.path):
                os.fsync(self._file)
        finally:
            os.close(self._file)

    def entries(self, *, vocabulary: int) -> dict[str, Entry]:
        """Every sound entry so far, by key, as `read_entries` returns them."""
        return read_entries(self.path, vocabulary=vocabulary)

    def append(self, entries: Iterable[Line]) -> None:
        """Write entries behind all others, in one piece.

        Raises:
            EngineError: the disk does not take them; what was written before stays whole.
        """
        data = b"".join(map(_line, entries))
        end = os.fstat(self._file).st_size
        try:
            written = 0
            while written < len(data):
                written += os.write(self._file, data[written:])
            if time.monotonic() - self._synced > SYNC_SECONDS:
                os.fsync(self._file)
                self._synced = time.monotonic()
        except OSError as error:
            os.ftruncate(self._file, end)
            raise EngineError(
                f"{self.path}: {error.strerror}; make room and run again, nothing finished is lost"
            ) from error

    def _cut_torn_line(self) -> None:
        size = os.fstat(self._file).st_size
        whole = self.path.read_bytes().rfind(b"\n") + 1
        if whole < size:
            os.ftruncate(self._file, whole)
