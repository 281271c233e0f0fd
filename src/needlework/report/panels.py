"""A panel per model, three in a row: what pictures of distances, failures and margins share."""

from collections.abc import Mapping, Sequence

import altair as alt
import polars as pl

from needlework.study.config import ShownModel
from needlework.study.definitions import FigureDefinition
from needlework.study.grid import Grid
from needlework.study.selection import row_lengths, selected

LENGTHS = ("#fde725", "#a0da39", "#4ac16d", "#1fa187", "#277f8e", "#365c8d", "#46327e", "#440154")
"""Viridis from light to dark: the longer the context, the darker."""
PANEL = {"width": 118, "height": 96}
"""Three panels are as wide as a column of text of 5.5 inches."""


def panels(
    panel: alt.Chart | alt.LayerChart,
    models: Sequence[ShownModel],
    title: str,
    told: str,
    points: Sequence[Mapping[str, str | float | None]],
) -> alt.TopLevelMixin:
    """A panel per model, three in a row, and below the title how many samples there are."""
    counts = {int(str(point["samples"])) for point in points}
    samples = f"{told} At most {max(counts, default=0):,} answers a mark."
    return panel.facet(
        facet=alt.Facet(
            "label:N",
            title=None,
            sort=[model.label for model in models],
            header=alt.Header(labelFontSize=10, labelPadding=2),
        ),
        columns=3,
        spacing=10,
        title=alt.TitleParams(title, fontSize=11, subtitle=samples, subtitleFontSize=9),
    )


def shades(count: int) -> list[str]:
    """As many shades, the last the darkest; more than there are begin anew."""
    first = max(0, len(LENGTHS) - count)
    return [LENGTHS[(first + each) % len(LENGTHS)] for each in range(count)]


def chosen(
    rows: pl.DataFrame, grid: Grid, models: Sequence[ShownModel], figure: FigureDefinition
) -> pl.DataFrame:
    """The rows that a figure shows."""
    suite = grid.suites[figure.suite]
    tasks = [task.name for task in selected(figure, suite)]
    places = [
        (model.name, length) for model in models for length in row_lengths(figure, suite, model)
    ]
    wanted = pl.DataFrame(places, schema={"model": pl.String, "length": pl.Int64}, orient="row")
    of_suite = rows.filter(pl.col("suite") == figure.suite, pl.col("task").is_in(tasks))
    return of_suite.join(wanted, on=["model", "length"], how="semi", maintain_order="left")
