"""Files that are written whole or not at all, and line files whose bad lines are named."""

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from needlework.errors import RecordError

Record = TypeVar("Record", bound=BaseModel)


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place only when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # By the umask, which is how a group says that it shares its files.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        # A disk that is full does not say which file it has no room for.
        raise (
            error if error.filename else OSError(error.errno, error.strerror, str(path))
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


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
                raise RecordError(
                    f"{path}:{number}: {place}: {first['msg']}; delete the file and rerun snakemake"
                ) from error
    return records


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
