"""The pictures of a study, by name, each with the table that it shows.

Knows which function draws which figure; marks are the business of `curves`, `needles` and `costs`.
"""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import altair as alt

from needlework.cells import read_estimates, read_parquet
from needlework.cost.figure import figure_rows
from needlework.cost.study import PlannedCell
from needlework.errors import StudyError
from needlework.files import write_text
from needlework.report import charts, costs, curves, needles
from needlework.report.estimates import Scores
from needlework.study import ShownModel

FIGURES: dict[str, Callable[[Scores, Sequence[ShownModel]], alt.TopLevelMixin]] = {
    "depth_heatmap": needles.depth_heatmap,
    "format_bars": needles.format_bars,
    "length_curve": curves.length_curve,
    "retention_curve": curves.retention_curve,
}
"""Every figure of scores by its name, which is the stem of its files."""
COST = "cost"
"""The figure of scores and hours."""


def write_figure(
    kind: str,
    cells: Path,
    output: Path,
    *,
    models: Sequence[ShownModel],
    planned: Sequence[PlannedCell] = (),
    benchmarks: Path | None = None,
) -> None:
    """Draw a figure as `output` with each suffix of `charts.SUFFIXES`, and what it shows as .csv.

    The figure of costs takes hours from the jobs measured in `benchmarks` and, where none is,
    those that were `planned`.

    Raises:
        RecordError: a cell that the figure shows is missing.
        StudyError: there is no figure of that kind.
    """
    if kind not in (*FIGURES, COST):
        raise StudyError(f"there is no figure {kind}; choose one of {', '.join((*FIGURES, COST))}")
    scores = Scores(read_estimates(cells))
    if kind == COST:
        hours = figure_rows(read_parquet(cells), models, planned, benchmarks=benchmarks)
        chart = costs.score_against_cost(hours, scores, models)
    else:
        chart = FIGURES[kind](scores, models)
    charts.save(chart, output)
    write_text(output.with_name(f"{output.name}.csv"), _csv(chart.to_dict()["data"]["values"]))


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
