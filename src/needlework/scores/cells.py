"""Score files, one row a sample, and estimates, one row a task of a cell."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import ValidationError

from needlework.errors import RecordError
from needlework.files import read_records
from needlework.parsing import Closed
from needlework.records import LIBRARIES, Prediction
from needlework.scores.likelihood import LIKELIHOOD, are_asked, columns, fault
from needlework.scores.remarks import mixed, parquet, place_of, remark, remarks, write
from needlework.statistics import means
from needlework.statistics.means import Estimate
from needlework.study.grid import Cell
from needlework.tasks import metrics
from needlework.tasks.specs import Spec, needle_format

ADDRESS = ("model", "suite", "task", "length", "depth", "format")
"""The columns that name one estimate."""

MACHINE = frozenset({"device", "kernels", LIBRARIES})
"""What predictions say of the machine that made them, and of what is installed there."""

SCORES = pl.Schema(
    {
        "model": pl.String,
        "suite": pl.String,
        "task": pl.String,
        "length": pl.Int64,
        "index": pl.Int64,
        "score": pl.Float64,
        "error": pl.String,
        "stop_reason": pl.String,
        "depth": pl.Int64,
        "format": pl.String,
        "prompt_tokens": pl.Int64,
        "shared_tokens": pl.Int64,
        "generated_tokens": pl.Int64,
    }
)


LIKELY = pl.Schema({**SCORES, **LIKELIHOOD})
"""The columns of a study that asks for likelihoods."""


class CellEstimate(Closed):
    """One row of `estimates.parquet`: where, and how well."""

    model: str
    suite: str
    task: str
    length: int
    depth: int | None
    format: str | None
    estimate: Estimate


def score_cell(
    predictions: Path, output: Path, *, cell: Cell, tasks: Mapping[str, Spec], samples: int
) -> None:
    """Write one scored row per prediction of a cell.

    Raises:
        RecordError: as `scored` does.
    """
    found = _checked(predictions, tasks, samples=samples)
    remarks = {place_of(cell): remark(found, cell, tasks)}
    write(_scored(found, cell, tasks), output, {place_of(cell): versions(found)}, remarks)


def scored(
    predictions: Path, *, cell: Cell, tasks: Mapping[str, Spec], samples: int
) -> pl.DataFrame:
    """One row with the columns of SCORES per prediction of a cell, in the order of the file, or of
    LIKELY where predictions hold likelihoods.

    Raises:
        RecordError: the file has torn lines, not exactly `samples` predictions of every task, or
            predictions of two models or settings.
    """
    return _scored(_checked(predictions, tasks, samples=samples), cell, tasks)


def _checked(predictions: Path, tasks: Mapping[str, Spec], *, samples: int) -> list[Prediction]:
    """The predictions of a cell, if they are all there and of one model."""
    found = read_records(predictions, Prediction)
    _check_complete(found, tasks, samples=samples, path=predictions)
    _check_one_model(found, path=predictions)
    return found


def _scored(found: Sequence[Prediction], cell: Cell, tasks: Mapping[str, Spec]) -> pl.DataFrame:
    rows = [_score_row(prediction, tasks[prediction.task], cell) for prediction in found]
    if not are_asked(found):
        return pl.DataFrame(rows, schema=SCORES)
    likely = [
        row | columns(prediction.likelihood) for row, prediction in zip(rows, found, strict=True)
    ]
    return pl.DataFrame(likely, schema=LIKELY)


def versions(found: Sequence[Prediction]) -> list[str]:
    """What predictions say computed them, each once: packages with their versions."""
    return list(dict.fromkeys(each.others.get(LIBRARIES, "") for each in found))


def collect(cells: Sequence[Cell], folder: Path, *, scores: Path, estimates: Path) -> None:
    """Write the rows of every cell's score file to `scores`, and their means to `estimates`.

    Raises:
        RecordError: a score file is damaged, of another cell or another study, or has a sample
            twice; names it.
    """
    frames = {cell: _read_scores(cell, folder) for cell in cells}
    paths = [_score_file(cell, folder) for cell in cells]
    _check_one_study(frames, folder)
    # A cell of which all samples failed says nothing of likelihoods.
    frame = pl.concat(frames.values(), how="diagonal")
    versions_by_place = {place_of(cell): found for cell, found in mixed(paths).items()}
    remarks_by_place = {place_of(cell): found for cell, found in remarks(paths).items()}
    write(frame, scores, versions_by_place, remarks_by_place)
    rows = [
        each.model_dump(exclude={"estimate"}) | each.estimate.model_dump()
        for each in estimated(frame)
    ]
    write(pl.DataFrame(rows, infer_schema_length=None), estimates)


def gathered(paths: Sequence[Path]) -> pl.DataFrame:
    """The rows of some score files of a study, each sample once.

    Raises:
        RecordError: a file is damaged, or two of them hold the same sample.
    """
    frame = (
        pl.concat([read_scores(path) for path in paths], how="diagonal")
        if paths
        else pl.DataFrame(schema=SCORES)
    )
    place = ("model", "suite", "length", "task", "index")
    twice = frame.filter(frame.select(place).is_duplicated()).select(place)
    if twice.height:
        model, suite, length, task, index = twice.row(0)
        raise RecordError(
            f"{paths[0]} and others: {model}/{suite}/{length}: {task} #{index} is scored twice; "
            "name every score file once"
        )
    return frame


def estimated(scores: pl.DataFrame) -> list[CellEstimate]:
    """The mean score of every task of every cell, in the order of the rows."""
    grouped = scores.group_by(*ADDRESS, maintain_order=True).agg("score")
    return [
        CellEstimate(**{name: row[name] for name in ADDRESS}, estimate=means.estimate(row["score"]))
        for row in grouped.iter_rows(named=True)
    ]


def read_estimates(path: Path) -> list[CellEstimate]:
    """The rows of a cells file.

    Raises:
        RecordError: the file is damaged or a row is no estimate; names it.
    """
    frame = read_parquet(path)
    missing = {*ADDRESS, *Estimate.model_fields} - set(frame.columns)
    if missing and frame.height:
        raise RecordError(f"{path}: no column {min(missing)}; delete the file and rerun snakemake")
    return [_estimate(row, path) for row in frame.iter_rows(named=True)]


def read_scores(path: Path) -> pl.DataFrame:
    """The rows of a score file.

    Raises:
        RecordError: the file is damaged, has other columns, or a score outside 0 to 1; names it.
    """
    frame = read_parquet(path)
    if frame.schema not in (SCORES, LIKELY):
        raise RecordError(
            f"{path}: has other columns than a score file; delete the file and rerun snakemake"
        )
    if wrong := fault(frame):
        raise RecordError(f"{path}: {wrong}; delete the file and rerun snakemake")
    outside = frame.filter(~pl.col("score").is_between(0, 1))
    if outside.height:
        row = outside.row(0, named=True)
        raise RecordError(
            f"{path}: {row['task']} #{row['index']} has score {row['score']}, not 0 to 1; "
            "delete the file and rerun snakemake"
        )
    return frame


def read_parquet(path: Path) -> pl.DataFrame:
    """The content of a parquet file.

    Raises:
        RecordError: the file is absent or damaged; names it.
    """
    if not path.exists():
        raise RecordError(f"{path}: does not exist; run snakemake to make it")
    return parquet(path)


def _estimate(row: Mapping[str, Any], path: Path) -> CellEstimate:
    try:
        return CellEstimate(
            **{name: row[name] for name in ADDRESS},
            estimate=Estimate(**{name: row[name] for name in Estimate.model_fields}),
        )
    except ValidationError as error:
        place = " ".join(str(row[name]) for name in ADDRESS if row[name] is not None)
        raise RecordError(
            f"{path}: {place}: {error.errors()[0]['msg']}; delete the file and rerun snakemake"
        ) from error


def _score_row(prediction: Prediction, spec: Spec, cell: Cell) -> dict[str, Any]:
    failed = prediction.stop_reason == "failed"
    pred, outputs = prediction.pred, prediction.outputs
    score = None if failed else metrics.score(pred, outputs, metric=spec.metric)
    return {
        **cell._asdict(),
        "task": prediction.task,
        "index": prediction.index,
        "score": score,
        "error": prediction.error,
        "stop_reason": prediction.stop_reason,
        "depth": getattr(spec, "depth", None),
        "format": needle_format(spec),
        "prompt_tokens": prediction.prompt_tokens,
        "shared_tokens": prediction.shared_tokens,
        "generated_tokens": prediction.generated_tokens,
    }


def _check_complete(
    found: Sequence[Prediction], tasks: Mapping[str, Spec], *, samples: int, path: Path
) -> None:
    """Every sample of every task has exactly one prediction, and there are no others."""
    seen = Counter((prediction.task, prediction.index) for prediction in found)
    wanted = {(task, index) for task in tasks for index in range(samples)}
    for problem, addresses in (
        ("predicted twice", [address for address, times in seen.items() if times > 1]),
        ("without a prediction", sorted(wanted - seen.keys())),
        ("not in this study", sorted(seen.keys() - wanted)),
    ):
        if addresses:
            task, index = addresses[0]
            raise RecordError(
                f"{path}: {len(addresses)} samples {problem}, first {task} #{index}; "
                "delete the file and rerun snakemake"
            )


def _check_one_model(found: Sequence[Prediction], *, path: Path) -> None:
    """All answers of a cell come from the same weights, asked in the same way.

    Devices may differ, and with them the kernels: shards of a cell run where there is room.
    """
    first = found[0].others if found else {}
    for prediction in found:
        different = {key for key, _ in first.items() ^ prediction.others.items()} - MACHINE
        if different:
            key = min(different)
            raise RecordError(
                f"{path}: {prediction.task} #{prediction.index} has {key} "
                f"{prediction.others.get(key)}, the first answer {first.get(key)}; two runs "
                "are mixed; delete the file and rerun snakemake"
            )


def _check_one_study(frames: Mapping[Cell, pl.DataFrame], folder: Path) -> None:
    """Every cell of a suite has the same samples of the same tasks, each once."""
    first: dict[str, dict[str, int]] = {}
    for cell, frame in frames.items():
        path = _score_file(cell, folder)
        twice = frame.filter(frame.select("task", "index").is_duplicated())
        if twice.height:
            raise RecordError(
                f"{path}: {twice['task'][0]} #{twice['index'][0]} is scored twice; delete the file "
                "and rerun snakemake"
            )
        counts = dict(frame.group_by("task", maintain_order=True).len().iter_rows())
        wanted = first.setdefault(cell.suite, counts)
        for task in sorted(wanted.keys() | counts.keys()):
            if counts.get(task) != wanted.get(task):
                raise RecordError(
                    f"{path}: {counts.get(task, 0)} samples of {task}, but another cell has "
                    f"{wanted.get(task, 0)}; results of two studies are mixed; "
                    "delete the score files of one and rerun snakemake"
                )


def _score_file(cell: Cell, folder: Path) -> Path:
    return folder / cell.model / cell.suite / f"{cell.length}.parquet"


def _read_scores(cell: Cell, folder: Path) -> pl.DataFrame:
    path = _score_file(cell, folder)
    frame = read_scores(path)
    owners = set(frame.select("model", "suite", "length").unique().iter_rows())
    if owners != {tuple(cell)}:
        raise RecordError(
            f"{path}: holds scores of {sorted(owners)} instead of {tuple(cell)}; "
            "delete the file and rerun snakemake"
        )
    return frame
