"""Whether an artifact's results follow from its predictions: checked without GPU and network.

Knows what must agree with what; each disagreement becomes one line that names the file, and for
tampered predictions the sample.
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from needlework.artifact.bundle import CODE, CRATE, ENVIRONMENT, FORMAT, MANIFEST, STUDY
from needlework.artifact.rendering import outputs
from needlework.artifact.unpacking import unpack
from needlework.cells import collect, read_parquet, score_cell
from needlework.errors import ArtifactError, NeedleworkError
from needlework.files import read_records, sha256
from needlework.parsing import parse, read
from needlework.records import Prediction, Sample
from needlework.report.explorer.packing import prompts_key
from needlework.sources import digest
from needlework.study import Cell, Grid, ShownModel, Study
from needlework.tasks.specs import Spec

Content = TypeVar("Content")

MOST_SHOWN = 20
"""Problems of one kind that are named one by one."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One thing that was checked, and everything found wrong with it."""

    check: str
    badge: str
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing was wrong."""
        return not self.problems


@dataclass(frozen=True, kw_only=True)
class Review:
    """Every check, remarks that are no verdict, and what leads from claims to files."""

    lines: tuple[Line, ...]
    remarks: tuple[str, ...]
    commands: tuple[tuple[str, str], ...]
    """A command, and the files that it makes."""

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(line.passed for line in self.lines)

    def badges(self) -> dict[str, bool]:
        """Each badge, and whether all of its checks passed."""
        names = dict.fromkeys(line.badge for line in self.lines)
        return {
            name: all(line.passed for line in self.lines if line.badge == name) for name in names
        }


def review(archive: Path, *, templates: Path) -> Review:
    """Check an artifact from its bytes to its tables.

    Raises:
        ArtifactError: the file is no artifact, or unsafe to unpack.
    """
    with tempfile.TemporaryDirectory() as scratch:
        artifact, again = Path(scratch, "artifact"), Path(scratch, "again")
        again.mkdir()
        unpack(archive, artifact)
        manifest = _manifest(artifact)
        lines = (
            _line("every file has the digest of the manifest", "available", _digests, artifact),
            _line("the description names every file", "available", _described, artifact),
            _line("predictions answer the samples", "functional", _answers, artifact),
            _line("predictions give the scores", "functional", _scores, artifact, again),
            _line("scores give the estimates", "reproduced", _estimates, artifact, again),
            _line(
                "estimates give every table and page, byte for byte",
                "reproduced",
                lambda folder, made: _pages(folder, made, templates),
                artifact,
                again,
            ),
        )
        return Review(
            lines=lines,
            remarks=tuple(_remarks(manifest)),
            commands=_commands(artifact, again, templates),
        )


def _line(check: str, badge: str, find: Callable[..., Iterator[str]], *folders: Path) -> Line:
    """Carry out a check; what stops it is a problem like any other."""
    problems: list[str] = []
    try:
        problems += find(*folders)
    except (NeedleworkError, OSError, json.JSONDecodeError) as error:
        problems.append(f"cannot go on: {error}".replace(f"{folders[0]}/", ""))
    if len(problems) > MOST_SHOWN:
        hidden = len(problems) - MOST_SHOWN
        problems = [*problems[:MOST_SHOWN], f"and {hidden} more"]
    return Line(check=check, badge=badge, problems=tuple(problems))


def _manifest(artifact: Path) -> dict[str, Any]:
    path = artifact / MANIFEST
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("format") != FORMAT or "files" not in found:
        raise ArtifactError(f"no {MANIFEST} of format {FORMAT} inside; was it made by `artifact`?")
    return found


def _digests(artifact: Path) -> Iterator[str]:
    wanted = dict(_manifest(artifact)["files"])
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


def _described(artifact: Path) -> Iterator[str]:
    graph = json.loads((artifact / CRATE).read_text(encoding="utf-8"))["@graph"]
    described = {entity["@id"]: entity for entity in graph}
    for name, wanted in _manifest(artifact)["files"].items():
        if described.get(name, {}).get("sha256") != wanted:
            yield f"{CRATE}: {name} is absent or has another digest"


def _plan(artifact: Path, part: str, kind: type[Content]) -> Content:
    path = artifact / STUDY / "plan" / f"{part}.json"
    return parse(kind, read(path), where=f"plan/{part}.json")


def _cells(artifact: Path) -> list[Cell]:
    return _plan(artifact, "grid", Grid).cells()


def _answers(artifact: Path) -> Iterator[str]:
    """Predictions whose references are not those of the dataset."""
    models = _plan(artifact, "models", tuple[ShownModel, ...])
    prompts = {model.name: prompts_key(model) for model in models}
    for cell in _cells(artifact):
        name = f"predictions/{cell.model}/{cell.suite}/{cell.length}.jsonl"
        data = artifact / STUDY / "data" / prompts[cell.model] / str(cell.length)
        samples: dict[str, dict[int, Sample]] = {}
        for answer in read_records(artifact / STUDY / name, Prediction):
            if answer.task not in samples:
                found = read_records(data / f"{answer.task}.jsonl", Sample)
                samples[answer.task] = {sample.index: sample for sample in found}
            sample = samples[answer.task].get(answer.index)
            if sample is None or sample.outputs != answer.outputs:
                yield f"{name}: {answer.task} #{answer.index}: other references than its sample"


def _scores(artifact: Path, again: Path) -> Iterator[str]:
    """Stored scores that the stored predictions do not give."""
    study = _plan(artifact, "study", Study)
    for cell in _cells(artifact):
        tasks = _plan(artifact, cell.suite, dict[str, Spec])
        place = f"{cell.model}/{cell.suite}/{cell.length}"
        made = again / "scores" / f"{place}.parquet"
        predictions = artifact / STUDY / "predictions" / f"{place}.jsonl"
        score_cell(predictions, made, cell=cell, tasks=tasks, samples=study.samples)
        stored = read_parquet(artifact / STUDY / "scores" / f"{place}.parquet")
        yield from _differences(f"scores/{place}.parquet", stored, read_parquet(made))


def _differences(name: str, stored: pl.DataFrame, made: pl.DataFrame) -> Iterator[str]:
    """The samples, or estimates, in which two frames differ."""
    if stored.equals(made):
        return
    if stored.schema != made.schema or stored.height != made.height:
        yield f"{name}: {stored.height} rows where {made.height} follow, or other columns"
        return
    for old, new in zip(stored.iter_rows(named=True), made.iter_rows(named=True), strict=True):
        changed = [column for column in old if old[column] != new[column]]
        if changed:
            row = f"{new['model']} {new['task']} at {new['length']}"
            sample = f" #{new['index']}" if "index" in new else ""
            column = changed[0]
            yield f"{name}: {row}{sample}: {column} is {old[column]}, but {new[column]} follows"


def _estimates(artifact: Path, again: Path) -> Iterator[str]:
    """Stored estimates that the scores, computed anew, do not give."""
    collect(
        _cells(artifact),
        again / "scores",
        scores=again / "scores.parquet",
        estimates=again / "cells.parquet",
    )
    for name in ("scores.parquet", "cells.parquet"):
        yield from _differences(
            name, read_parquet(artifact / STUDY / name), read_parquet(again / name)
        )


def _pages(artifact: Path, again: Path, templates: Path) -> Iterator[str]:
    """Stored tables and pages that the estimates, computed anew, do not give."""
    for output in outputs(artifact, again, templates):
        output.make()
        for name in output.names:
            stored = artifact / STUDY / name
            if not stored.is_file():
                yield f"{STUDY}/{name}: missing; `{output.command}` makes it"
            elif stored.read_bytes() != (again / name).read_bytes():
                yield f"{STUDY}/{name}: {_first_difference(stored, again / name)}"


def _first_difference(stored: Path, made: Path) -> str:
    lines = (path.read_text(encoding="utf-8").splitlines() for path in (stored, made))
    for number, (old, new) in enumerate(zip_longest(*lines, fillvalue=""), start=1):
        if old != new:
            return f"line {number} is {old[:60]!r}, but {new[:60]!r} follows"
    return "other line ends"


def _remarks(manifest: dict[str, Any]) -> Iterator[str]:
    if manifest.get("code") != digest(*CODE):
        yield (
            "made by another version of needlework: differences may come from it; review with the "
            f"version in {ENVIRONMENT}"
        )


def _commands(artifact: Path, again: Path, templates: Path) -> tuple[tuple[str, str], ...]:
    """How every page is made, for readers who want one of them only."""
    return tuple(
        (output.command, ", ".join(output.names)) for output in outputs(artifact, again, templates)
    )
