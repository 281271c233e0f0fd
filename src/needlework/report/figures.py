"""The pictures of a study, by name, each with the table that it shows.

Knows which function draws which figure; marks are the business of `curves`, `needles` and `costs`.
"""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import altair as alt

from needlework.cells import read_estimates, read_parquet
from needlework.cost.figure import figure_rows
from needlework.cost.study import PlannedCell
from needlework.errors import StudyError
from needlework.files import write_text
from needlework.report import charts, costs, curves, needles
from needlework.report.estimates import Scores
from needlework.report.notes import named
from needlework.study import Grid, ShownModel, SuiteName


class Figure(NamedTuple):
    """A figure of scores, and the suite whose cells it shows."""

    draw: Callable[[Scores, Sequence[ShownModel]], alt.TopLevelMixin]
    suite: SuiteName


FIGURES: dict[str, Figure] = {
    "depth_heatmap": Figure(needles.depth_heatmap, "depth"),
    "format_bars": Figure(needles.format_bars, "depth"),
    "length_curve": Figure(curves.length_curve, "ruler"),
    "retention_curve": Figure(curves.retention_curve, "ruler"),
}
"""Every figure of scores by its name, which is the stem of its files."""
COST = "cost"
"""The figure of scores and hours."""


def write_figure(
    kind: str,
    cells: Path,
    output: Path,
    *,
    grid: Grid,
    models: Sequence[ShownModel],
    planned: Sequence[PlannedCell] = (),
    benchmarks: Path | None = None,
) -> None:
    """Draw a figure as `output` with each suffix of `charts.SUFFIXES`, and what it shows as .csv.

    The figure of costs takes hours from the jobs measured in `benchmarks` and, where none is,
    those that were `planned`. Cells that `grid` asks for and `cells` lacks are left out and named
    below the title; in the .csv they have a line without numbers.

    Raises:
        RecordError: the cells are of another study.
        StudyError: there is no figure of that kind.
    """
    if kind not in (*FIGURES, COST):
        raise StudyError(f"there is no figure {kind}; choose one of {', '.join((*FIGURES, COST))}")
    scores = Scores(read_estimates(cells), grid)
    suite = "ruler" if kind == COST else FIGURES[kind].suite
    if kind == COST:
        hours = figure_rows(read_parquet(cells), models, planned, benchmarks=benchmarks)
        chart = costs.score_against_cost(hours, scores, models)
    elif kind == "length_curve":
        suite = next(iter(grid.suites))
        chart = curves.length_curve(scores, models, suite)
    else:
        chart = FIGURES[kind].draw(scores, models)
    missing = scores.missing(suite)
    labels = {model.name: model.label for model in models}
    rows = chart.to_dict()["data"]["values"]
    charts.save(charts.lacking(chart, named(missing, labels)), output)
    lines = [*rows, *({"label": labels[cell.model], "length": cell.length} for cell in missing)]
    write_text(output.with_name(f"{output.name}.csv"), _csv(lines))


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    """Lines with the columns of the first, and what others have beside them."""
    columns = dict.fromkeys(name for row in rows for name in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
