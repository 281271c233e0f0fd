"""The pictures of a study, each with the table that it shows.

`DRAW` maps each kind of figure to its function in `curves`, `needles` or `costs`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import altair as alt

from needlework.cost.measured import job_hours
from needlework.cost.study import PlannedCell
from needlework.files import write_csv
from needlework.report import charts, costs, curves, needles
from needlework.report.notes import named
from needlework.scores.cells import estimated, gathered
from needlework.scores.estimates import Scores
from needlework.study.config import ShownModel
from needlework.study.definitions import FigureDefinition, FigureKind
from needlework.study.grid import Grid

Draw = Callable[[Scores, Sequence[ShownModel], FigureDefinition], alt.TopLevelMixin]

DRAW: Mapping[FigureKind, Draw] = {
    "depth_heatmap": needles.depth_heatmap,
    "format_bars": needles.format_bars,
    "length_curve": curves.length_curve,
    "retention_curve": curves.retention_curve,
}
"""What draws each kind of figure of scores; that of costs needs hours as well."""


def write_figure(
    figure: FigureDefinition,
    scores: Sequence[Path],
    output: Path,
    *,
    grid: Grid,
    models: Sequence[ShownModel],
    planned: Sequence[PlannedCell] = (),
    benchmarks: Path | None = None,
) -> None:
    """Draw a figure as `output` with each suffix of `charts.SUFFIXES`, and what it shows as .csv.

    The figure of costs takes hours from the jobs measured in `benchmarks` and, where none is,
    those that were `planned`. Cells that `grid` asks for and the score files lack are left out and
    named below the title; in the .csv they have a line without numbers.

    Raises:
        RecordError: the scores are of another study.
    """
    found = Scores(estimated(gathered(scores)), grid)
    if figure.kind == "cost":
        chart = costs.score_against_cost(
            job_hours(planned, figure.suite, benchmarks=benchmarks), found, models, figure
        )
    else:
        chart = DRAW[figure.kind](found, models, figure)
    missing = found.missing(figure.suite)
    labels = {model.name: model.label for model in models}
    rows = chart.to_dict(validate=False)["data"]["values"]
    charts.save(charts.lacking(chart, named(missing, labels)), output)
    lines = [*rows, *({"label": labels[cell.model], "length": cell.length} for cell in missing)]
    write_csv(output.with_name(f"{output.name}.csv"), lines)
