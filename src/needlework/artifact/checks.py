"""What must agree with what in an unpacked artifact; each disagreement is one line.

Knows the files of a study; which question of a conference a check answers is the business of
`checklist`.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from needlework.artifact import own_tasks
from needlework.artifact.bundle import (
    CRATE,
    ENVIRONMENT,
    INPUTS,
    MANIFEST,
    STUDY,
    Environment,
    Manifest,
)
from needlework.artifact.crate import README, readme
from needlework.artifact.rendering import EXPLORER, Output, outputs
from needlework.errors import ArtifactError, NeedleworkError
from needlework.files import read_records, sha256
from needlework.parsing import parse, read
from needlework.records import Prediction, Sample, Verification
from needlework.report.explorer.packing import prompts_key, unpacked
from needlework.scores.cells import collect, read_estimates, read_parquet, read_scores, score_cell
from needlework.scores.remarks import mixed, remarks
from needlework.study.config import Cell, Grid, ShownModel, Study
from needlework.study.served_records import parse_verification
from needlework.study.variants import weights_of
from needlework.tasks.specs import Spec

Content = TypeVar("Content")

NEEDED_INPUTS = ("Snakefile", "workflow/Snakefile", "config/models.yaml")
"""Without these nobody can run the study again."""
FOUNDATIONS = frozenset({"benchmarks", "data", "plan", "predictions", "scores", "verified"})
"""Folders of a study from which its pages follow, and the times of its jobs."""
ESTIMATED = ("scores.parquet", "estimates.parquet")
QUOTED = 60
"""Characters of a line that are shown where it differs."""


def read_manifest(artifact: Path) -> Manifest:
    """The manifest of an unpacked artifact.

    Raises:
        ArtifactError: there is none of a known format.
    """
    try:
        return parse(Manifest, read(artifact / MANIFEST), where=MANIFEST)
    except NeedleworkError as error:
        told = plain(error, artifact).splitlines()[0]
        raise ArtifactError(
            f"no {MANIFEST} of this version inside ({told}); was it made by `snakemake artifact`?"
        ) from error


def read_environment(artifact: Path) -> Environment:
    """What an artifact says of packages and of what made each cell.

    Raises:
        StudyError: it says nothing of them.
    """
    return parse(Environment, read(artifact / ENVIRONMENT), where=ENVIRONMENT)


def digests(artifact: Path) -> Iterator[str]:
    """Files that are missing, strange, or changed since they were bundled."""
    wanted = read_manifest(artifact).files
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
    """Where the descriptions, for machines and for people, are not those of these files."""
    manifest = read_manifest(artifact)
    sizes = {
        name: (artifact / name).stat().st_size
        for name in manifest.files
        if name not in (ENVIRONMENT, README) and (artifact / name).is_file()
    }
    wanted = manifest.description(sizes)
    found = read(artifact / CRATE)
    graph = found.get("@graph") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(graph, list) or found.keys() != wanted.keys():
        yield f"{CRATE}: not a description of this format"
        return
    yield from _different_entities(graph, wanted["@graph"])
    if found["@context"] != wanted["@context"]:
        yield f"{CRATE}: another @context"
    text = (artifact / README).read_text(encoding="utf-8") if (artifact / README).is_file() else ""
    if text != readme(manifest.study, manifest.version):
        yield f"{README}: not the text that `artifact` writes"


def _different_entities(found: Sequence[Any], wanted: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Things that a description lacks, adds, or says otherwise."""
    entities = {str(each.get("@id")): each for each in found if isinstance(each, dict)}
    if len(entities) != len(found):
        yield f"{CRATE}: something stands twice, or without @id"
    for each in wanted:
        own = entities.pop(each["@id"], {})
        for key in sorted(each.keys() | own.keys()):
            if own.get(key) != each.get(key):
                yield f"{CRATE}: {each['@id']}: {key} is {own.get(key)!r:.80}"
    yield from (f"{CRATE}: {name}: describes nothing of the study" for name in entities)


def inputs(artifact: Path) -> Iterator[str]:
    """What is missing to run the study again."""
    for name in NEEDED_INPUTS:
        if not (artifact / INPUTS / name).is_file():
            yield f"{INPUTS}/{name}: missing; bundle it with the study"
    yield from own_tasks.absent(artifact, all_tasks(artifact))


def all_tasks(artifact: Path) -> dict[str, Spec]:
    """The tasks of all suites of an unpacked artifact, by name.

    Raises:
        StudyError: it does not say which they are.
    """
    suites = _plan(artifact, "grid", Grid).suites
    specs = (_plan(artifact, f"suites/{suite}", dict[str, Spec]) for suite in suites)
    return {name: spec for tasks in specs for name, spec in tasks.items()}


def made(artifact: Path) -> Iterator[str]:
    """Cells that do not say what made them, and models that were found wrong or not looked at."""
    told = read_environment(artifact).cells
    for cell in _cells(artifact):
        if not told.get(name := "/".join(map(str, cell))):
            yield f"{ENVIRONMENT}: nothing about what made predictions/{name}.jsonl"
    yield from _verified(artifact)


def _verified(artifact: Path) -> Iterator[str]:
    """Weights found wrong or, where some were looked at, left out; variants share theirs."""
    paths = sorted((artifact / STUDY / "verified").glob("*.json"))
    found = {weights_of(path.stem): path for path in paths}
    wanted = dict.fromkeys(weights_of(model.name) for model in _models(artifact))
    yield from (f"verified/{name}.json: missing" for name in wanted if paths and name not in found)
    for path in found.values():
        name = f"verified/{path.name}"
        one = parse_verification(read(path), where=name)
        if one.model != path.stem:
            yield f"{name}: is about {one.model}"
        if isinstance(one, Verification) and not one.passed:
            yield f"{name}: logits differ by {one.largest_difference}, more than {one.tolerance}"


def licences(artifact: Path) -> Iterator[str]:
    """Models without a licence."""
    for model in _models(artifact):
        if not model.licence.strip():
            yield f"plan/models.json: {model.name} has no licence"


def intervals(artifact: Path) -> Iterator[str]:
    """Means without an interval around them, or over other numbers of samples than planned."""
    samples = _plan(artifact, "study", Study).samples
    for row in read_estimates(artifact / STUDY / "estimates.parquet"):
        if row.estimate.count != samples:
            yield (
                f"estimates.parquet: {row.model} {row.task} at {row.length}: "
                f"over {row.estimate.count} samples, not {samples}"
            )


def answers(artifact: Path) -> Iterator[str]:
    """Predictions whose references are not those of the dataset, or that other means made."""
    prompts = {model.name: prompts_key(model) for model in _models(artifact)}
    environment = read_environment(artifact)
    samples = _plan(artifact, "study", Study).samples
    yield from own_tasks.unlike(artifact, all_tasks(artifact), samples=samples)
    references: dict[Path, dict[int, tuple[str, ...]]] = {}
    for cell in _cells(artifact):
        place = "/".join(map(str, cell))
        data = artifact / STUDY / "data" / prompts.get(cell.model, "") / str(cell.length)
        try:
            found = read_records(artifact / STUDY / f"predictions/{place}.jsonl", Prediction)
            for task in dict.fromkeys(answer.task for answer in found):
                path = data / f"{task}.jsonl"
                references.setdefault(path, _references(path))
        except (NeedleworkError, OSError) as error:
            yield plain(error, artifact)
            continue
        for answer in found:
            name = f"predictions/{place}.jsonl: {answer.task} #{answer.index}"
            if references[data / f"{answer.task}.jsonl"].get(answer.index) != answer.outputs:
                yield f"{name}: other references than its sample"
            if not environment.made(place, answer):
                yield f"{name}: made by other means than {ENVIRONMENT} says"


def _references(path: Path) -> dict[int, tuple[str, ...]]:
    return {sample.index: sample.outputs for sample in read_records(path, Sample)}


def scores(artifact: Path, again: Path) -> Iterator[str]:
    """Stored scores that the stored predictions do not give."""
    study = _plan(artifact, "study", Study)
    for cell in _cells(artifact):
        tasks = _plan(artifact, f"suites/{cell.suite}", dict[str, Spec])
        place = f"{cell.model}/{cell.suite}/{cell.length}"
        path = again / "scores" / f"{place}.parquet"
        predictions = artifact / STUDY / "predictions" / f"{place}.jsonl"
        try:
            score_cell(predictions, path, cell=cell, tasks=tasks, samples=study.samples)
            stored = read_scores(artifact / STUDY / "scores" / f"{place}.parquet")
        except (NeedleworkError, OSError) as error:
            yield plain(error, artifact)
            continue
        yield from differences(f"scores/{place}.parquet", stored, read_parquet(path))
        theirs = [artifact / STUDY / "scores" / f"{place}.parquet"]
        if mixed(theirs) != mixed([path]) or remarks(theirs) != remarks([path]):
            yield f"scores/{place}.parquet: tells other versions than the predictions"


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
        estimates=again / "estimates.parquet",
    )
    for name in ESTIMATED:
        yield from differences(
            name, read_parquet(artifact / STUDY / name), read_parquet(again / name)
        )


def pages(artifact: Path, again: Path, templates: Path) -> Iterator[str]:
    """Stored tables, figures and pages that the estimates, computed anew, do not give."""
    wanted = list(outputs(artifact, again, templates))
    yield from _unfounded(artifact, wanted)
    for output in wanted:
        try:
            output.make()
        except (NeedleworkError, OSError) as error:
            yield f"{STUDY}/{output.names[0]}: cannot be made: {plain(error, artifact, again)}"
            continue
        for name in output.names:
            stored = artifact / STUDY / name
            if not stored.is_file():
                yield f"{STUDY}/{name}: missing; `{output.command}` makes it"
            elif stored.read_bytes() != (again / name).read_bytes():
                difference = _first_difference(stored, again / name)
                if difference:
                    yield f"{STUDY}/{name}: {difference}"


def _unfounded(artifact: Path, wanted: Sequence[Output]) -> Iterator[str]:
    """Files of the study that nothing here makes."""
    known = {*ESTIMATED, *(name for output in wanted for name in output.names)}
    for path in sorted((artifact / STUDY).rglob("*")):
        inside = path.relative_to(artifact / STUDY)
        if path.is_file() and inside.parts[0] not in FOUNDATIONS and inside.as_posix() not in known:
            yield f"{STUDY}/{inside.as_posix()}: follows from nothing; no command makes it"


def _first_difference(stored: Path, found: Path) -> str:
    """What differs; nothing where only the packing of the explorer's data does."""
    try:
        lines = [path.read_text(encoding="utf-8").splitlines() for path in (stored, found)]
        if found.name == EXPLORER:
            blocks = zip_longest(*(map(unpacked, page) for page in lines), fillvalue="")
            changed = ((old, new) for old, new in blocks if old != new)
            return next(
                (_quoted(f"{new.partition(': ')[0]:.60} ", old, new) for old, new in changed), ""
            )
    except UnicodeDecodeError:
        return "another picture than follows"
    except ValueError as error:
        return f"damaged: {error}"
    for number, (old, new) in enumerate(zip_longest(*lines, fillvalue=""), start=1):
        if old != new:
            return _quoted(f"line {number} ", old, new)
    return "other line ends"


def _quoted(place: str, old: str, new: str) -> str:
    """Two lines from a little before where they part."""
    pairs = enumerate(zip(old, new, strict=False))
    parted = next((at for at, (one, two) in pairs if one != two), min(len(old), len(new)))
    start = max(0, parted - QUOTED // 3)
    cut = "..." if start else ""
    old, new = (f"{cut}{line[start : start + QUOTED]}" for line in (old, new))
    return f"{place}is {old!r}, but {new!r} follows"


def plain(error: Exception, *folders: Path) -> str:
    """What went wrong, with the names that files have in an artifact."""
    told = f"{error.filename}: missing" if isinstance(error, FileNotFoundError) else str(error)
    for folder in folders:
        told = told.replace(f"{folder / STUDY}/", "").replace(f"{folder}/", "")
    return told


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
