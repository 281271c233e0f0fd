"""Remarks on cells, kept in the metadata of their score file beside the scores."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import polars as pl
from pydantic import Field, TypeAdapter

from needlework.door import opens
from needlework.errors import RecordError
from needlework.files import atomic
from needlework.parsing import Closed
from needlework.records import END, LIBRARIES, NO_END, Prediction
from needlework.study.grid import Cell
from needlework.tasks.specs import Spec

Told = TypeVar("Told")

ASK_AGAIN = "delete the file and rerun snakemake"

_TOLD = TypeAdapter(dict[str, list[str]])
REMARKS = "remarks"
"""Where a score file tells what tables should say of its cells."""
FILLED = 0.9
"""A task whose longest prompt and answer take less of a length than this does not fill it."""


class Remark(Closed):
    """What a reader of a cell's scores should know, and would not see in them."""

    endless: bool = False
    """Whether no token ends an answer."""
    short: dict[str, int] = Field(default_factory=dict)
    """The longest prompt, in tokens, of tasks whose material ends before the length does."""


_REMARKS = TypeAdapter(dict[str, Remark])


def remark(found: Sequence[Prediction], cell: Cell, tasks: Mapping[str, Spec]) -> Remark:
    """What is to be told of a cell with these predictions."""
    longest: dict[str, int] = {}
    for each in found:
        longest[each.task] = max(longest.get(each.task, 0), each.prompt_tokens)
    return Remark(
        endless=any(each.others.get(END) == NO_END for each in found),
        short={
            task: tokens
            for task, tokens in longest.items()
            if tokens + tasks[task].tokens_to_generate < FILLED * cell.length
        },
    )


def mixed(scores: Sequence[Path]) -> dict[Cell, list[str]]:
    """The cells in score files that hold answers of several versions, with these.

    Raises:
        RecordError: a file is damaged.
    """
    return _told(scores, LIBRARIES, _TOLD)


def remarks(scores: Sequence[Path]) -> dict[Cell, Remark]:
    """The cells in score files that tables should say something of.

    Raises:
        RecordError: a file is damaged.
    """
    return _told(scores, REMARKS, _REMARKS)


def _told(paths: Sequence[Path], key: str, kind: TypeAdapter[dict[str, Told]]) -> dict[Cell, Told]:
    """What `write` left in files beside their rows."""
    found = {}
    for path in paths:
        for place, told in _metadata(path, key, kind).items():
            model, suite, length = place.split("/")
            found[Cell(model, suite, int(length))] = told
    return found


@opens("a table of scores", "scores.parquet", error=RecordError, way_out=ASK_AGAIN)
def _metadata(path: Path, key: str, kind: TypeAdapter[dict[str, Told]]) -> dict[str, Told]:
    told = kind.validate_json(pl.read_parquet_metadata(path).get(key, "{}"))
    for place in told:
        _, _, length = place.split("/")
        int(length)
    return told


@opens("a parquet file", "scores.parquet", error=RecordError, way_out=ASK_AGAIN)
def parquet(path: Path) -> pl.DataFrame:
    """The content of a parquet file.

    Raises:
        RecordError: it is damaged.
    """
    return pl.read_parquet(path)


def place_of(cell: Cell) -> str:
    """What a cell is called in metadata."""
    return f"{cell.model}/{cell.suite}/{cell.length}"


def write(
    frame: pl.DataFrame,
    path: Path,
    versions: Mapping[str, Sequence[str]] = MappingProxyType({}),
    remarks: Mapping[str, Remark] = MappingProxyType({}),
) -> None:
    """Write rows and, beside them, what is to be told of cells, by place: nothing of most."""
    several = {place: list(found) for place, found in versions.items() if len(found) > 1}
    telling = {place: found for place, found in remarks.items() if found != Remark()}
    metadata = {LIBRARIES: _TOLD.dump_json(several).decode()} if several else {}
    if telling:
        metadata[REMARKS] = _REMARKS.dump_json(telling).decode()
    # Polars tells of a full disk in a way of its own; written to memory first, a file is a file.
    content = io.BytesIO()
    frame.write_parquet(content, metadata=metadata or None)
    with atomic(path) as temporary:
        temporary.write_bytes(content.getbuffer())
