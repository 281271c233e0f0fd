"""Score against hours, as rows for a picture.

Knows cells, costs and the benchmark files that Snakemake writes; does not know marks.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from needlework.cost.measured import read_job
from needlework.cost.study import PlannedCell
from needlework.study import ShownModel

COLUMNS = pl.Schema(
    {
        "model": pl.String,
        "label": pl.String,
        "family": pl.String,
        "length": pl.Int64,
        "score": pl.Float64,
        "hours": pl.Float64,
        "kind": pl.String,
        "device": pl.String,
    }
)
SUITE = "ruler"


def figure_rows(
    cells: pl.DataFrame,
    models: Sequence[ShownModel],
    costs: Iterable[PlannedCell],
    *,
    benchmarks: Path | None = None,
) -> pl.DataFrame:
    """One row per model and length of the ruler suite: its score, and the hours its cell takes.

    `cells` is the content of `cells.parquet`, `models` the part `models` of the plan and `costs`
    its part `costs`. Columns: model, label, family, length, score (mean over the tasks, 0 to 1),
    hours (of one device), kind ("measured" or "estimated") and device, a key of `DEVICES`.

    `hours` is the `s` of `{benchmarks}/predict/{model}/ruler/{length}.tsv` where the folder is
    given and that file exists: the wall time of the job, whatever else the machine did, and for a
    job that continued an interrupted one only its last part. Otherwise it is the estimate. A model
    without score at a length, or without a cost, has no row there. Rows are in the order of
    `models`, then of length.

    Raises:
        RecordError: a benchmark file is damaged; names it.
    """
    ruler = cells.filter(pl.col("suite") == SUITE)
    scores = ruler.group_by("model", "length").agg(score=pl.col("mean").mean())
    known = {(model, length): score for model, length, score in scores.iter_rows()}
    planned = {(cell.model, cell.length): cell for cell in costs if cell.suite == SUITE}
    rows = [
        {
            **model.model_dump(include={"label", "family"}),
            "model": model.name,
            "length": length,
            "score": known[model.name, length],
            **_hours(planned[model.name, length], benchmarks),
        }
        for model in models
        for length in sorted(length for name, length in known if name == model.name)
        if (model.name, length) in planned
    ]
    return pl.DataFrame(rows, schema=COLUMNS)


def _hours(cell: PlannedCell, benchmarks: Path | None) -> dict[str, float | str]:
    job = None if benchmarks is None else read_job(benchmarks, cell)
    return {
        "hours": cell.hours if job is None else job.seconds / 3600,
        "kind": "estimated" if job is None else "measured",
        "device": cell.device,
    }
