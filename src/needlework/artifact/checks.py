"""What must agree with what in an unpacked artifact; each disagreement is one line.

`checklist` states which question of a conference a check answers.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import polars as pl

from needlework.artifact import belonging, own_tasks, reading, replanning
from needlework.artifact.bundle import (
    CRATE,
    ENVIRONMENT,
    INPUTS,
    MANIFEST,
    STUDY,
    Environment,
    Manifest,
)
from needlework.artifact.comparing import first_difference
from needlework.artifact.crate import README, readme
from needlework.artifact.reading import plain, plan_part
from needlework.artifact.rendering import Output
from needlework.errors import ArtifactError, NeedleworkError
from needlework.files import read_records, sha256
from needlework.parsing import parse, read
from needlework.records import Prediction, Sample, Verification
from needlework.scores.cells import collect, read_estimates, read_parquet, read_scores, score_cell
from needlework.scores.diagnoses import diagnose
from needlework.scores.remarks import mixed, remarks
from needlework.study.definitions import Name
from needlework.study.served_records import ServedVerification, parse_verification
from needlework.study.variants import weights_of
from needlework.tasks.specs import Spec

NEEDED_INPUTS = ("Snakefile", "workflow/Snakefile", "config/models.yaml", "config/tasks.yaml")
"""Without these the study cannot be run again."""
ESTIMATED = ("scores.parquet", "estimates.parquet", "diagnosis.parquet")


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
    if manifest.study != (asked := reading.study(artifact).study):
        yield f"{MANIFEST}: is about a study {manifest.study}, and plan/study.json about {asked}"
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
        yield f"{CRATE}: unexpected @context"
    text = (artifact / README).read_text(encoding="utf-8") if (artifact / README).is_file() else ""
    if text != readme(manifest.study, manifest.version):
        yield f"{README}: not the text that `artifact` writes"


def _different_entities(found: Sequence[Any], wanted: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Things that a description lacks, adds, or says otherwise."""
    entities = {str(each.get("@id")): each for each in found if isinstance(each, dict)}
    if len(entities) != len(found):
        yield f"{CRATE}: an entity is listed twice, or has no @id"
    for each in wanted:
        own = entities.pop(each["@id"], {})
        for key in sorted(each.keys() | own.keys()):
            if own.get(key) != each.get(key):
                yield f"{CRATE}: {each['@id']}: {key} is {own.get(key)!r:.80}"
    yield from (f"{CRATE}: {name}: describes nothing of the study" for name in entities)


def inputs(artifact: Path) -> Iterator[str]:
    """What is missing to run the study again, and where its plan is not the one of its config."""
    for name in NEEDED_INPUTS:
        if not (artifact / INPUTS / name).is_file():
            yield f"{INPUTS}/{name}: missing; bundle it with the study"
    yield from replanning.unlike(artifact)
    yield from own_tasks.absent(artifact, reading.all_tasks(artifact))


def made(artifact: Path) -> Iterator[str]:
    """Cells that do not say what made them, and models that were found wrong or not looked at."""
    told = read_environment(artifact).cells
    names = [cell.place for cell in reading.cells(artifact)]
    for name in names:
        if not told.get(name):
            yield f"{ENVIRONMENT}: no record of what made predictions/{name}.jsonl"
    yield from (f"{ENVIRONMENT}: {name} is no cell of the study" for name in told.keys() - {*names})
    yield from _verified(artifact)


def _verified(artifact: Path) -> Iterator[str]:
    """Weights found wrong or, where some were looked at, left out; variants share theirs."""
    paths = sorted((artifact / STUDY / "verified").glob("*.json"))
    found = {weights_of(path.stem): path for path in paths}
    wanted = dict.fromkeys(weights_of(model.name) for model in reading.models(artifact))
    yield from (f"verified/{name}.json: missing" for name in wanted if paths and name not in found)
    for path in found.values():
        name = f"verified/{path.name}"
        one = parse_verification(read(path), where=name)
        if one.model != path.stem:
            yield f"{name}: is about {one.model}"
        if isinstance(one, Verification) and not one.passed:
            yield f"{name}: logits differ by {one.largest_difference}, more than {one.tolerance}"
        if isinstance(one, ServedVerification) and one.model not in _served(artifact):
            yield f"{name}: is of a server, and the configuration names none for it"


def _served(artifact: Path) -> Set[str]:
    """The weights that a server has, by the configuration."""
    models = replanning.planned_again(artifact).models
    return {weights_of(name) for name, entry in models.items() if entry.backend == "server"}


def licences(artifact: Path) -> Iterator[str]:
    """Models without a licence."""
    for model in reading.models(artifact):
        if not model.licence.strip():
            yield f"plan/models.json: {model.name} has no licence"


def intervals(artifact: Path) -> Iterator[str]:
    """Means without an interval around them, or over other numbers of samples than planned."""
    samples = reading.study(artifact).samples
    for row in read_estimates(artifact / STUDY / "estimates.parquet"):
        if row.estimate.count != samples:
            yield (
                f"estimates.parquet: {row.model} {row.task} at {row.length}: "
                f"over {row.estimate.count} samples, not {samples}"
            )


def answers(artifact: Path) -> Iterator[str]:
    """Predictions whose references are not those of the dataset, or that other means made."""
    prompts = {model.name: model.prompts for model in reading.models(artifact)}
    only = {each.cell: each.tasks for each in reading.controls(artifact)}
    if only:
        plan = replanning.planned_again(artifact)
        prompts |= {run: plan.prompts(run) for run in plan.models}
    environment = read_environment(artifact)
    samples = reading.study(artifact).samples
    yield from own_tasks.unlike(artifact, reading.all_tasks(artifact), samples=samples)
    references: dict[Path, dict[int, tuple[str, ...]]] = {}
    asked = {name: suite.names() for name, suite in reading.grid(artifact).suites.items()}
    for cell in reading.cells(artifact):
        place = cell.place
        data = artifact / STUDY / "data" / prompts.get(cell.model, "") / str(cell.length)
        try:
            found = read_records(artifact / STUDY / f"predictions/{place}.jsonl", Prediction)
            for task in dict.fromkeys(answer.task for answer in found):
                if task not in only.get(cell, asked.get(cell.suite, ())):
                    raise ArtifactError(f"predictions/{place}.jsonl: {task!r} is no task of it")
                path = data / f"{task}.jsonl"
                references.setdefault(path, _references(path, samples))
        except (NeedleworkError, OSError) as error:
            yield plain(error, artifact)
            continue
        for answer in found:
            name = f"predictions/{place}.jsonl: {answer.task} #{answer.index}"
            if references[data / f"{answer.task}.jsonl"].get(answer.index) != answer.outputs:
                yield f"{name}: its references are not those of its sample"
            if not environment.made(place, answer):
                yield f"{name}: made with other settings than {ENVIRONMENT} records"


def _references(path: Path, samples: int) -> dict[int, tuple[str, ...]]:
    """The references of every sample of a dataset.

    Raises:
        ArtifactError: it has other samples than the study asks for.
    """
    found = read_records(path, Sample)
    if [sample.index for sample in found] != list(range(samples)):
        raise ArtifactError(f"{path}: not samples 0 to {samples - 1}, each once, as the study asks")
    return {sample.index: sample.outputs for sample in found}


def scores(artifact: Path, again: Path) -> Iterator[str]:
    """Stored scores that the stored predictions do not give."""
    study = reading.study(artifact)
    for cell, tasks in reading.asked(artifact).items():
        place = cell.place
        path = again / "scores" / f"{place}.parquet"
        predictions = artifact / STUDY / "predictions" / f"{place}.jsonl"
        try:
            score_cell(predictions, path, cell=cell, tasks=tasks, samples=study.samples)
            known = read_parquet(path)
            reading.check_rows(artifact / STUDY / "scores" / f"{place}.parquet", known.height)
            stored = read_scores(artifact / STUDY / "scores" / f"{place}.parquet")
        except (NeedleworkError, OSError) as error:
            yield plain(error, artifact)
            continue
        yield from differences(f"scores/{place}.parquet", stored, known)
        theirs = [artifact / STUDY / "scores" / f"{place}.parquet"]
        if mixed(theirs) != mixed([path]) or remarks(theirs) != remarks([path]):
            yield f"scores/{place}.parquet: lists other versions than the predictions"


def differences(name: str, stored: pl.DataFrame, found: pl.DataFrame) -> Iterator[str]:
    """The samples, or estimates, in which two frames differ."""
    if stored.equals(found):
        return
    if stored.schema != found.schema or stored.height != found.height:
        yield f"{name}: {stored.height} rows stored, {found.height} recomputed; or other columns"
        return
    for old, new in zip(stored.iter_rows(named=True), found.iter_rows(named=True), strict=True):
        changed = [column for column in old if old[column] != new[column]]
        if changed:
            column = changed[0]
            yield f"{name}: {_row(new)}: {column} is {old[column]}, recomputed {new[column]}"


def estimates(artifact: Path, again: Path) -> Iterator[str]:
    """Stored estimates and diagnoses that scores and answers, computed anew, do not give."""
    grid = reading.grid(artifact)
    collect(
        grid.cells(),
        again / "scores",
        scores=again / "scores.parquet",
        estimates=again / "estimates.parquet",
    )
    diagnose(
        grid.cells(),
        artifact / STUDY,
        again / "diagnosis.parquet",
        prompts={model.name: model.prompts for model in reading.models(artifact)},
        tasks={
            suite: plan_part(artifact, f"suites/{suite}", dict[Name, Spec]) for suite in grid.suites
        },
    )
    for name in ESTIMATED:
        known = read_parquet(again / name)
        reading.check_rows(artifact / STUDY / name, known.height)
        yield from differences(name, read_parquet(artifact / STUDY / name), known)


def pages(artifact: Path, again: Path, outputs: Callable[[], Iterator[Output]]) -> Iterator[str]:
    """Stored tables, figures and pages that the estimates, computed anew, do not give."""
    wanted = list(outputs())
    made = (name for output in wanted for name in output.names)
    yield from belonging.strange(artifact, (*ESTIMATED, *made))
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
            elif difference := first_difference(stored, again / name):
                yield f"{STUDY}/{name}: {difference}"


def _row(row: dict[str, Any]) -> str:
    sample = f" #{row['index']}" if "index" in row else ""
    return f"{row['model']} {row['task']} at {row['length']}{sample}"
