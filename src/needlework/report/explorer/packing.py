"""The data of the explorer: blocks of JSON that the page decodes on demand."""

import base64
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from needlework.errors import RecordError
from needlework.files import read_records
from needlework.records import PlacedDetail, Prediction, Sample
from needlework.report.explorer.addresses import address
from needlework.report.explorer.folding import fold, mask
from needlework.report.explorer.pictures import VIRIDIS, looks, pictures
from needlework.report.layout import Entry, Row, Table, build
from needlework.report.notes import Verified, entry_marks, notes, read_verified, row_marks
from needlework.report.printing import SIGNS, signs
from needlework.report.rendering import percent
from needlework.report.standing import Samples, mark
from needlework.scores.cells import CellEstimate, read_estimates, read_parquet
from needlework.scores.diagnoses import read_diagnoses
from needlework.scores.estimates import Scores
from needlework.scores.failures import KINDS
from needlework.scores.remarks import mixed, remarks
from needlework.study.grid import Grid
from needlework.study.presentation import Shown
from needlework.study.shown import ShownModel

PACKED = re.compile(
    rb'<script type="text/plain" data-key="([^"]*)">([A-Za-z0-9+/]*={0,2})</script>'
)
"""A block as it stands in the page, on a line of its own."""
MASKED = "letters of prompts that are not ours are dots here"
RAW_DEFLATE = -15
"""The window bits that zlib takes for a stream without header, as DecompressionStream reads it."""


class Known(NamedTuple):
    """What pictures, tables, and the remarks below them, rest on."""

    scores: Scores
    samples: Samples
    diagnoses: pl.DataFrame
    verified: Verified | None
    """What is known of the weights; None makes no statement about them."""


class Block(NamedTuple):
    """One piece of the data, by the key under which the page asks for it."""

    key: str
    content: Any

    def packed(self) -> str:
        """The content as JSON, deflated, in base64."""
        text = json.dumps(self.content, ensure_ascii=False, separators=(",", ":"))
        deflate = zlib.compressobj(9, zlib.DEFLATED, RAW_DEFLATE)
        return base64.b64encode(deflate.compress(text.encode()) + deflate.flush()).decode()


class Packed(NamedTuple):
    """A block as it stands in a page.

    Compressors differ in how they pack the same content, so pages are compared unpacked.
    """

    key: str
    base64: bytes

    def content(self, *, at_most: int | None) -> bytes:
        """What is in it: as a browser reads it, which is one stream and nothing else.

        Raises:
            ValueError: it is damaged, has something behind its stream, or is longer than `at_most`
                bytes.
        """
        deflated = base64.b64decode(self.base64, validate=True)
        if base64.b64encode(deflated) != self.base64:
            raise ValueError("base64 that says the same in two ways")
        stream = zlib.decompressobj(RAW_DEFLATE)
        try:
            content = stream.decompress(deflated, 0 if at_most is None else at_most + 1)
        except zlib.error as error:
            raise ValueError(str(error)) from error
        if at_most is not None and len(content) > at_most:
            raise ValueError(f"more than the {at_most:,} bytes that follow")
        if not stream.eof or stream.unused_data:
            raise ValueError("torn, or with something behind its end")
        return content


def packed(line: bytes) -> Packed | None:
    """The block in a line of the page; None in other lines.

    Raises:
        ValueError: its key is no text.
    """
    found = PACKED.fullmatch(line)
    return None if found is None else Packed(found[1].decode(), found[2])


def blocks(
    study: Path,
    *,
    grid: Grid,
    models: Sequence[ShownModel],
    shown: Shown,
    masked: bool = False,
) -> Iterator[Block]:
    """The index, then every dataset once, then the answers of every model, task by task.

    In prompts that are `masked` letters are dots, but for the references.

    Raises:
        RecordError: a file is damaged, or a score is without prediction, sample or diagnosis.
    """
    scores = read_parquet(study / "scores.parquet")
    _check_models(scores, models)
    diagnoses = read_diagnoses(study / "diagnosis.parquet", grid)
    told = _told(scores, diagnoses, study)
    estimates = read_estimates(study / "estimates.parquet")
    paths = [study / "scores.parquet"]
    samples_of = Samples(scores, grid, mixed(paths), remarks(paths))
    known = Known(Scores(estimates, grid), samples_of, diagnoses, _verified(study))
    name = f"{study.name} ({MASKED})" if masked else study.name
    yield Block("index", index(name, estimates, models, shown, known=known))
    prompts = {model.name: model.prompts for model in models}
    wanted = scores.select("model", "length", "task").unique(maintain_order=True).iter_rows()
    samples: Counter[str] = Counter()
    for key in dict.fromkeys(f"{prompts[model]}/{length}/{task}" for model, length, task in wanted):
        content = list(_dataset(study / "data" / f"{key}.jsonl", masked=masked))
        samples[key] = len(content)
        yield Block(f"data/{key}", content)
    for cell, rows in told.group_by("model", "suite", "length", maintain_order=True):
        model, suite, length = cell
        yield from _answers(study, (str(model), str(suite), str(length)), rows, prompts, samples)


def index(
    study: str,
    estimates: Sequence[CellEstimate],
    models: Sequence[ShownModel],
    shown: Shown,
    *,
    known: Known,
) -> dict[str, Any]:
    """All that the page needs before it decodes any sample: pictures, tables, cells, models."""
    built = [build(each, known.scores, models) for each in shown.tables if each.value == "score"]
    return {
        "study": study,
        "models": [
            {
                "name": model.name,
                "label": model.label,
                "trained": model.trained_length,
                "prompts": model.prompts,
                **looks(place),
            }
            for place, model in enumerate(models)
        ],
        "kinds": KINDS,
        "viridis": VIRIDIS,
        "pictures": pictures(shown.figures, known.scores, models, known.diagnoses),
        "tables": [_table(mark(table, known.samples), known) for table in built],
        "cells": [_cell(estimate) for estimate in estimates],
    }


def _cell(row: CellEstimate) -> list[Any]:
    """Where a cell stands and its estimate, unrounded: the page rounds once, as it shows it."""
    found = row.estimate
    place = [row.model, row.suite, row.length, row.task, row.format, row.depth]
    return [*place, found.mean, found.low, found.high, found.count, found.failed]


def _verified(study: Path) -> Verified | None:
    """What is known of the weights."""
    paths = sorted((study / "verified").glob("*.json"))
    return read_verified(paths) if paths else None


def _table(table: Table, known: Known) -> dict[str, Any]:
    """A table as it is printed elsewhere: the same digits, signs and remarks."""
    remarks = notes(table, known.verified, known.samples)
    trained = ["Underlined: training length."] if table.marks_training else []
    return {
        "name": table.label,
        "label": f"Table {table.label}" if table.label.isdecimal() else table.label,
        "title": table.title,
        "heads": table.heads,
        "columns": table.column_names(),
        "rows": [
            {
                "heads": [
                    row.heads[0] + signs(row_marks(row, known.verified, known.samples)),
                    *row.heads[1:],
                ],
                "cells": [_number(row, entry, known) for entry in row.entries],
            }
            for row in table.rows
        ],
        "notes": trained + [f"{SIGNS.get(one.mark, '')} {one.text}".strip() for one in remarks],
    }


def _number(row: Row, entry: Entry, known: Known) -> list[str]:
    """A number with its interval, how it is set off, its sign, and the address that it opens."""
    found = entry.estimate
    if found is None:
        return [SIGNS["missing"], "", "", "", row.model.name]
    marks = ("b" if entry.best else "") + ("u" if entry.trained else "")
    limits = f"{percent(found.low)} to {percent(found.high)}"
    target = address(row.model.name, entry.sources, known.scores.grid)
    return [percent(found.mean), limits, marks, signs(entry_marks(entry)), target]


def _dataset(path: Path, *, masked: bool) -> Iterator[list[Any]]:
    """One row a sample: the pieces of its prompt, its references and its size in tokens."""
    samples = read_records(path, Sample)
    details = read_records(path.with_suffix(".details.jsonl"), PlacedDetail)
    if [sample.index for sample in samples] != [detail.index for detail in details]:
        raise RecordError(f"{path}: samples and details differ; delete both and rerun snakemake")
    for place, (sample, detail) in enumerate(zip(samples, details, strict=True)):
        if sample.index != place:
            raise RecordError(f"{path}: sample {sample.index} stands at place {place}")
        pieces = fold(sample, detail)
        pieces = mask(pieces, sample.outputs) if masked else pieces
        yield [pieces, sample.outputs, detail.prompt_tokens, len(sample.input)]


def _answers(
    study: Path,
    cell: tuple[str, str, str],
    rows: pl.DataFrame,
    prompts: Mapping[str, str],
    samples: Mapping[str, int],
) -> Iterator[Block]:
    model, suite, length = cell
    path = study / "predictions" / model / suite / f"{length}.jsonl"
    found = {(each.task, each.index): each for each in read_records(path, Prediction)}
    for (task,), group in rows.sort("index").group_by("task", maintain_order=True):
        indices = group["index"].to_list()
        orphans = [number for number in indices if (task, number) not in found]
        there_are = samples[f"{prompts[model]}/{length}/{task}"]
        orphans += [number for number in indices if number >= there_are]
        if orphans or len(set(indices)) < len(indices):
            problem = f"no prediction or sample for #{orphans[0]}" if orphans else "a sample twice"
            raise RecordError(f"{path}: {task}: {problem}; collect the scores of the study again")
        key = f"answers/{model}/{suite}/{length}/{task}"
        yield Block(key, _columns(group, [found[str(task), number] for number in indices]))


def _columns(rows: pl.DataFrame, predictions: Sequence[Prediction]) -> dict[str, list[Any]]:
    """The answers of one task, column by column: alike values side by side pack well."""
    return {
        "index": rows["index"].to_list(),
        "score": rows["score"].to_list(),
        "kind": rows["kind"].to_list(),
        "distance": rows["distance"].to_list(),
        "stop": rows["stop_reason"].to_list(),
        "pred": [prediction.pred for prediction in predictions],
        "error": [prediction.error for prediction in predictions],
        "prompt": rows["prompt_tokens"].to_list(),
        "shared": rows["shared_tokens"].to_list(),
        "generated": rows["generated_tokens"].to_list(),
    }


def _told(scores: pl.DataFrame, diagnoses: pl.DataFrame, study: Path) -> pl.DataFrame:
    """The scores with what each answer is, and how far before the question its needle lies."""
    place = ["model", "suite", "length", "task", "index"]
    told = diagnoses.select(*place, "kind", "distance")
    found = scores.join(told, on=place, how="left", maintain_order="left")
    if found.height != scores.height or found["kind"].null_count():
        raise RecordError(
            f"{study / 'diagnosis.parquet'}: is not about the same answers as scores.parquet; "
            "delete it and rerun snakemake"
        )
    return found


def _check_models(scores: pl.DataFrame, models: Sequence[ShownModel]) -> None:
    strange = sorted(set(scores["model"].unique()) - {model.name for model in models})
    if strange:
        raise RecordError(
            f"scores of {', '.join(strange)}, which this study does not name; collect them again"
        )
