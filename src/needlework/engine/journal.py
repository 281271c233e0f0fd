"""Finished answers, one JSON line each, appended as they come: what a killed job does not lose.

Knows keys, lines and locks; does not know models or text. A line is found again by its key, which
says everything that decides the answer, so lines of other models, prompts or decodings do no harm.
"""

import fcntl
import hashlib
import os
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from needlework.engine.prefixes import Tokens
from needlework.errors import EngineError, RecordError
from needlework.files import json_line
from needlework.records import StopReason

SYNC_SECONDS = 2.0
"""A line is with the system at once, which survives a kill; on the disk within this time."""


class Entry(BaseModel):
    """One finished answer. Failures are not written: they get another chance."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    tokens: tuple[int, ...]
    stop_reason: StopReason


def entry_key(identity: BaseModel, tokens: Tokens) -> str:
    """A digest of everything that decides one answer: `identity`, and the prompt's token ids."""
    digest = hashlib.sha256(identity.model_dump_json().encode())
    digest.update(b"\n")
    digest.update(np.asarray(tokens).astype("<u4").tobytes())
    return digest.hexdigest()


def read_entries(path: Path) -> dict[str, Entry]:
    """Every whole entry of a journal, by key; another process may be writing the next one.

    Raises:
        RecordError: a whole line is broken, which no killed writer leaves behind.
    """
    entries = {}
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                break
            try:
                entry = Entry.model_validate_json(line)
            except ValidationError as error:
                raise RecordError(
                    f"{path}:{number}: not a journal entry; delete that line and run "
                    "again, or delete the file to compute the cell anew"
                ) from error
            entries[entry.key] = entry
    return entries


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
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
            os.fsync(self._file)
        finally:
            os.close(self._file)

    def entries(self) -> dict[str, Entry]:
        """Every entry so far, by key.

        Raises:
            RecordError: a line before the last is broken, which no killed writer leaves behind.
        """
        return read_entries(self.path)

    def append(self, entries: Iterable[Entry]) -> None:
        """Write entries behind all others, in one piece.

        Raises:
            EngineError: the disk does not take them; what was written before stays whole.
        """
        data = "".join(json_line(entry.model_dump(mode="json")) for entry in entries).encode()
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
