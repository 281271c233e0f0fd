"""The pictures of a study, each with the table that it shows.

`DRAW` and `EXPLAIN` map each kind of figure to its function in `curves`, `needles`, `reasons`,
`margins` or `costs`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import altair as alt
import polars as pl

from needlework.analysis.controls import Controlled
from needlework.analysis.training_runs import runs_of
from needlework.cost.measured import job_hours
from needlework.cost.study import PlannedCell
from needlework.errors import StudyError
from needlework.files import write_csv
from needlework.report import charts, costs, curves, margins, needles, reasons
from needlework.report.composition import noted
from needlework.report.notes import labels_of, named
from needlework.scores.cells import estimated, gathered
from needlework.scores.diagnoses import read_diagnoses, read_likelihoods
from needlework.scores.estimates import Scores
from needlework.study.definitions import FigureDefinition, FigureKind
from needlework.study.grid import Grid
from needlework.study.shown import ShownModel

Draw = Callable[[Scores, Sequence[ShownModel], FigureDefinition], alt.TopLevelMixin]

DRAW: Mapping[FigureKind, Draw] = {
    "depth_heatmap": needles.depth_heatmap,
    "format_points": needles.format_points,
    "length_curve": curves.length_curve,
    "position_curve": needles.position_curve,
    "retention_curve": curves.retention_curve,
}
"""What draws each kind of figure of scores; that of costs needs hours as well."""
Explain = Callable[[pl.DataFrame, Grid, Sequence[ShownModel], FigureDefinition], alt.TopLevelMixin]
EXPLAIN: Mapping[FigureKind, Explain] = {
    "distance_curve": reasons.distance_curve,
    "failure_bars": reasons.failure_bars,
    "margin_curve": margins.margin_curve,
    "margin_distance": margins.margin_distance,
}
"""What draws each kind of figure of diagnoses."""


def write_figure(
    figure: FigureDefinition,
    scores: Sequence[Path],
    output: Path,
    *,
    study: str,
    grid: Grid,
    models: Sequence[ShownModel],
    planned: Sequence[PlannedCell] = (),
    benchmarks: Path | None = None,
    diagnosis: Path | None = None,
    controls: Sequence[Controlled] = (),
) -> None:
    """Draw a figure as `output` with each suffix of `charts.SUFFIXES`, and what it shows as .csv.

    The figure of costs takes hours from the jobs measured in `benchmarks` and, where none is,
    those that were `planned`; the kinds in `EXPLAIN` need the `diagnosis`; the length curve marks
    `controls`. Cells that `grid` asks for and the score files lack are left out and named below the
    title, with the name of the `study`; in the .csv they have a line without numbers.

    Raises:
        RecordError: scores or diagnosis are of another study, or damaged.
        StudyError: there is no diagnosis for a figure that needs it, or no word on a model.
    """
    labels = labels_of(models, grid)
    found = Scores(estimated(gathered(scores)), grid)
    if figure.kind == "cost":
        chart = costs.score_against_cost(
            job_hours(planned, figure.suite, benchmarks=benchmarks), found, models, figure
        )
    elif figure.kind in EXPLAIN:
        if diagnosis is None:
            raise StudyError(f"figure {figure.name}: needs --diagnosis STUDY/diagnosis.parquet")
        is_likely = figure.kind in ("margin_curve", "margin_distance")
        read = read_likelihoods if is_likely else read_diagnoses
        chart = EXPLAIN[figure.kind](read(diagnosis, grid), grid, models, figure)
    elif figure.kind == "length_curve":
        chart = curves.length_curve(found, models, figure, controls)
    else:
        chart = DRAW[figure.kind](found, models, figure)
    missing = found.missing(figure.suite)
    rows = chart.to_dict(validate=False)["data"]["values"]
    left_out = ["Not computed, and left out:", *named(missing, labels)] if missing else []
    charts.save(noted(chart, [_origin(study, models), *left_out]), output)
    lines = [*rows, *({"label": labels[cell.model], "length": cell.length} for cell in missing)]
    write_csv(output.with_name(f"{output.name}.csv"), lines)


def _origin(study: str, models: Sequence[ShownModel]) -> str:
    """Of which study a figure is, and what its models stand for."""
    if len(models) == 1:
        return f"Study {study}: one checkpoint, of one training run."
    runs = [len(each) for each in runs_of(models)]
    if max(runs) == 1:
        return f"Study {study}: {len(models)} checkpoints, one training run each."
    few, many = min(runs), max(runs)
    of_each = f"{many}" if few == many else f"{few} to {many}"
    return f"Study {study}: {len(models)} checkpoints, {of_each} training runs of a recipe."
