"""Files that are written whole or not at all, and line files whose bad lines are named."""

import csv
import errno
import fcntl
import hashlib
import io
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from needlework.door import opens
from needlework.errors import NoLocksError, OutOfRoomError, RecordError

Record = TypeVar("Record", bound=BaseModel)

AGAIN = "delete the file and rerun snakemake"
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place only when the block ends well.

    Who may read and write it says the umask, as for any file.

    Raises:
        OutOfRoomError: the disk, or a quota, takes no more; what was at `path` is there still.
    """
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(6)}")
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        try:
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Within, an operating system that takes no more bytes is an error that names the file.

    Raises:
        OutOfRoomError: the disk is full, or a quota is reached.
    """
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise OutOfRoomError(
                f"{path}: {str(error.strerror).lower()}; make room on its file system (`df -h`, "
                "`quota`) and run again, nothing finished is lost"
            ) from error
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def lock(file: int, path: Path, *, waits: bool, shared: bool = False) -> None:
    """Take the lock of an open file, for this process alone unless it is `shared`.

    Raises:
        BlockingIOError: another process has it, and this one does not wait.
        NoLocksError: the file system of `path` has no locks.
    """
    try:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(file, kind | (0 if waits else fcntl.LOCK_NB))
    except BlockingIOError:
        raise
    except OSError as error:
        raise NoLocksError(
            f"{path}: its file system has no locks ({error.strerror}), without which two processes "
            "could write into each other's work; put the folder on one that has them (local disk, "
            "NFS with its lock service, Lustre mounted with `flock`)"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, all of it or nothing."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_records(path: Path, records: Iterable[BaseModel]) -> None:
    """Write one JSON object a line, ASCII-escaped as RULER's own files are, all or nothing."""
    with atomic(path) as temporary, temporary.open("w", encoding="ascii") as out:
        for record in records:
            out.write(json_line(record.model_dump(mode="json")))


def json_line(row: dict[str, Any]) -> str:
    """One row as RULER's tools write it: ASCII-escaped JSON and a newline."""
    return json.dumps(row, ensure_ascii=True) + "\n"


def write_csv(
    path: Path, rows: Iterable[Mapping[str, Any]], *, columns: Sequence[str] = ()
) -> None:
    """Write one line a row below the names of the columns, all or nothing.

    Columns are all that some row has, unless they are given; without any the file is empty.
    """
    lines, text = list(rows), io.StringIO()
    names = columns or list(dict.fromkeys(name for row in lines for name in row))
    if names:
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    write_text(path, text.getvalue())


@opens("records, one a line", "records.jsonl", error=RecordError, way_out=AGAIN)
def read_records(path: Path, kind: type[Record]) -> list[Record]:
    """Every record of a file.

    Raises:
        RecordError: a line is torn, is not JSON or is not a `kind`; names the file and the line.
    """
    records = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                records.append(kind.model_validate_json(line))
            except ValidationError as error:
                first = error.errors()[0]
                place = ".".join(map(str, first["loc"])) or "line"
                raise RecordError(f"{path}:{number}: {place}: {first['msg']}; {AGAIN}") from error
    return records


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
