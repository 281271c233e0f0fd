"""What must agree with what in an unpacked artifact; each disagreement is one line.

Knows the files of a study; which question of a conference a check answers is the business of
`checklist`.
"""

import json
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from needlework.artifact.bundle import CRATE, ENVIRONMENT, FORMAT, INPUTS, MANIFEST, STUDY
from needlework.artifact.rendering import EXPLORER, outputs
from needlework.cells import collect, read_parquet, score_cell
from needlework.errors import ArtifactError, NeedleworkError
from needlework.files import read_records, sha256
from needlework.parsing import parse, read
from needlework.records import Prediction, Sample, Verification
from needlework.report.explorer.packing import prompts_key, unpacked
from needlework.study import Cell, Grid, ShownModel, Study
from needlework.tasks.specs import Spec

Content = TypeVar("Content")

NEEDED_INPUTS = ("Snakefile", "workflow/Snakefile", "config/models.yaml")
"""Without these nobody can run the study again."""


def read_manifest(artifact: Path) -> dict[str, Any]:
    """The manifest of an unpacked artifact.

    Raises:
        ArtifactError: there is none of a known format.
    """
    path = artifact / MANIFEST
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("format") != FORMAT or "files" not in found:
        raise ArtifactError(f"no {MANIFEST} of format {FORMAT} inside; was it made by `artifact`?")
    return found


def digests(artifact: Path) -> Iterator[str]:
    """Files that are missing, strange, or changed since they were bundled."""
    wanted = dict(read_manifest(artifact)["files"])
    found = {
        path.relative_to(artifact).as_posix(): path
        for path in artifact.rglob("*")
        if path.is_file()
    }
    yield from (f"{name}: missing" for name in sorted(wanted.keys() - found.keys()))
    strange = found.keys() - wanted.keys() - {MANIFEST, CRATE}
    yield from (f"{name}: not in the manifest" for name in sorted(strange))
    for name in sorted(wanted.keys() & found.keys()):
        if sha256(found[name]) != wanted[name]:
            yield f"{name}: changed since it was bundled"


def described(artifact: Path) -> Iterator[str]:
    """Files that the description does not name, or with another digest."""
    graph = json.loads((artifact / CRATE).read_text(encoding="utf-8"))["@graph"]
    entities = {entity["@id"]: entity for entity in graph}
    for name, wanted in read_manifest(artifact)["files"].items():
        if entities.get(name, {}).get("sha256") != wanted:
            yield f"{CRATE}: {name} is absent or has another digest"


def inputs(artifact: Path) -> Iterator[str]:
    """What is missing to run the study again."""
    for name in NEEDED_INPUTS:
        if not (artifact / INPUTS / name).is_file():
            yield f"{INPUTS}/{name}: missing; bundle it with the study"


def made(artifact: Path) -> Iterator[str]:
    """Cells that do not say what made them, and models that were found wrong or not looked at."""
    told = json.loads((artifact / ENVIRONMENT).read_text(encoding="utf-8"))["cells"]
    for cell in _cells(artifact):
        name = "/".join(map(str, cell))
        if not told.get(name):
            yield f"{ENVIRONMENT}: nothing about what made predictions/{name}.jsonl"
    folder = artifact / STUDY / "verified"
    for model in _models(artifact) if folder.is_dir() else ():
        path = folder / f"{model.name}.json"
        if not path.is_file():
            yield f"verified/{model.name}.json: missing"
            continue
        one = parse(Verification, read(path), where=f"verified/{model.name}.json")
        if one.model != model.name:
            yield f"verified/{model.name}.json: is about {one.model}"
        if (one.largest_difference or 0.0) > (one.tolerance or 0.0):
            yield (
                f"verified/{model.name}.json: logits differ by {one.largest_difference}, more than "
                f"{one.tolerance}"
            )


def licences(artifact: Path) -> Iterator[str]:
    """Models without a licence."""
    for model in _models(artifact):
        if not model.licence.strip():
            yield f"plan/models.json: {model.name} has no licence"


def intervals(artifact: Path) -> Iterator[str]:
    """Means without an interval around them, or over other numbers of samples than planned."""
    samples = _plan(artifact, "study", Study).samples
    for row in read_parquet(artifact / STUDY / "cells.parquet").iter_rows(named=True):
        if not (row["low"] <= row["mean"] <= row["high"] and row["count"] == samples):
            yield f"cells.parquet: {_row(row)}: mean {row['mean']} over {row['count']} samples"


def answers(artifact: Path) -> Iterator[str]:
    """Predictions whose references are not those of the dataset."""
    prompts = {model.name: prompts_key(model) for model in _models(artifact)}
    references: dict[Path, dict[int, tuple[str, ...]]] = {}
    for cell in _cells(artifact):
        name = f"predictions/{cell.model}/{cell.suite}/{cell.length}.jsonl"
        data = artifact / STUDY / "data" / prompts[cell.model] / str(cell.length)
        for answer in read_records(artifact / STUDY / name, Prediction):
            path = data / f"{answer.task}.jsonl"
            if path not in references:
                found = read_records(path, Sample)
                references[path] = {sample.index: sample.outputs for sample in found}
            if references[path].get(answer.index) != answer.outputs:
                yield f"{name}: {answer.task} #{answer.index}: other references than its sample"


def scores(artifact: Path, again: Path) -> Iterator[str]:
    """Stored scores that the stored predictions do not give."""
    study = _plan(artifact, "study", Study)
    for cell in _cells(artifact):
        tasks = _plan(artifact, cell.suite, dict[str, Spec])
        place = f"{cell.model}/{cell.suite}/{cell.length}"
        path = again / "scores" / f"{place}.parquet"
        predictions = artifact / STUDY / "predictions" / f"{place}.jsonl"
        score_cell(predictions, path, cell=cell, tasks=tasks, samples=study.samples)
        stored = read_parquet(artifact / STUDY / "scores" / f"{place}.parquet")
        yield from differences(f"scores/{place}.parquet", stored, read_parquet(path))


def differences(name: str, stored: pl.DataFrame, found: pl.DataFrame) -> Iterator[str]:
    """The samples, or estimates, in which two frames differ."""
    if stored.equals(found):
        return
    if stored.schema != found.schema or stored.height != found.height:
        yield f"{name}: {stored.height} rows where {found.height} follow, or other columns"
        return
    for old, new in zip(stored.iter_rows(named=True), found.iter_rows(named=True), strict=True):
        changed = [column for column in old if old[column] != new[column]]
        if changed:
            column = changed[0]
            yield f"{name}: {_row(new)}: {column} is {old[column]}, but {new[column]} follows"


def estimates(artifact: Path, again: Path) -> Iterator[str]:
    """Stored estimates that the scores, computed anew, do not give."""
    collect(
        _cells(artifact),
        again / "scores",
        scores=again / "scores.parquet",
        estimates=again / "cells.parquet",
    )
    for name in ("scores.parquet", "cells.parquet"):
        yield from differences(
            name, read_parquet(artifact / STUDY / name), read_parquet(again / name)
        )


def pages(artifact: Path, again: Path, templates: Path) -> Iterator[str]:
    """Stored tables, figures and pages that the estimates, computed anew, do not give."""
    for output in outputs(artifact, again, templates):
        try:
            output.make()
        except NeedleworkError as error:
            yield f"{STUDY}/{output.names[0]}: cannot be made: {error}".replace(f"{again}/", "")
            continue
        for name in output.names:
            stored = artifact / STUDY / name
            if not stored.is_file():
                yield f"{STUDY}/{name}: missing; `{output.command}` makes it"
            elif stored.read_bytes() != (again / name).read_bytes():
                difference = _first_difference(stored, again / name)
                if difference:
                    yield f"{STUDY}/{name}: {difference}"


def _first_difference(stored: Path, found: Path) -> str:
    """What differs; nothing where only the packing of the explorer's data does."""
    try:
        lines = [path.read_text(encoding="utf-8").splitlines() for path in (stored, found)]
        if found.name == EXPLORER:
            blocks = zip_longest(*(map(unpacked, page) for page in lines), fillvalue="")
            return next((f"{new[:60]!r} was changed" for old, new in blocks if old != new), "")
    except UnicodeDecodeError:
        return "another picture than follows"
    except ValueError as error:
        return f"damaged: {error}"
    for number, (old, new) in enumerate(zip_longest(*lines, fillvalue=""), start=1):
        if old != new:
            return f"line {number} is {old[:60]!r}, but {new[:60]!r} follows"
    return "other line ends"


def _row(row: dict[str, Any]) -> str:
    sample = f" #{row['index']}" if "index" in row else ""
    return f"{row['model']} {row['task']} at {row['length']}{sample}"


def _plan(artifact: Path, part: str, kind: type[Content]) -> Content:
    path = artifact / STUDY / "plan" / f"{part}.json"
    return parse(kind, read(path), where=f"plan/{part}.json")


def _cells(artifact: Path) -> list[Cell]:
    return _plan(artifact, "grid", Grid).cells()


def _models(artifact: Path) -> tuple[ShownModel, ...]:
    return _plan(artifact, "models", tuple[ShownModel, ...])
