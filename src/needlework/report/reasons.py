"""Why scores fall, in pictures: the score by distance, and what answers are by length.

Statistics come from `analysis.why`, colours and files from `charts`.
"""

from collections.abc import Iterator, Mapping, Sequence

import altair as alt
import polars as pl

from needlework.analysis.why import ranges, shares
from needlework.report.charts import estimate_tips, length_colour, spoken
from needlework.report.composition import (
    INK,
    PERCENT,
    answers,
    by_model,
    heading,
    length_axis,
    page_width,
    panel_width,
)
from needlework.report.curves import BAND
from needlework.scores.failures import KINDS, Kind
from needlework.study.definitions import FigureDefinition
from needlework.study.grid import Grid
from needlework.study.selection import row_lengths, selected
from needlework.study.shown import ShownModel

FILLS: Mapping[Kind, str] = {
    "right": "#009E73",
    "partly right": "#8ED1BC",
    "another needle": "#D55E00",
    "elsewhere": "#E69F00",
    "near miss": "#F0E442",
    "invented": "#CC79A7",
    "no value": "#56B4E9",
    "repetition": "#0072B2",
    "refusal or empty": "#444444",
}
"""Greens for what is right, warm colours for wrong values, cold ones for none."""


def distance_curve(
    rows: pl.DataFrame, grid: Grid, models: Sequence[ShownModel], figure: FigureDefinition
) -> alt.TopLevelMixin:
    """Score by the needle's distance from the question; a panel per model, a line per length."""
    points = list(_ranges(chosen(rows, grid, models, figure), grid, models))
    base = lines_by_distance(points)
    score = alt.Scale(domain=[0, 100])
    axis = alt.Axis(values=[0, 50, 100], labelExpr=PERCENT)
    mean = alt.Y("mean:Q", title=None, scale=score, axis=axis)
    trained = alt.Chart().mark_rule(strokeDash=[3, 3], color=INK)
    panel = alt.layer(
        base.mark_area(opacity=BAND).encode(y=alt.Y("low:Q", title=None), y2="high:Q"),
        base.mark_line(strokeWidth=1.5).encode(y=mean),
        base.mark_point(filled=True, size=14, opacity=1).encode(
            y=mean, tooltip=estimate_tips("label:N", "length:N", "from:Q", "to:Q")
        ),
        trained.encode(x=alt.X("max(trained):Q", title=None)),
        data=alt.Data(values=points),
    ).properties(width=panel_width(len(models)), height=90)
    title = heading(
        f"{spoken(figure.suite)} score by the distance of the needle from the question",
        "A point stands at the end of its range. Bands: 95 % intervals; dashed: training length.",
        answers(points, "point"),
        width=page_width(len(models)),
    )
    return by_model(panel, models, title, x="from the needle to the question (tokens)")


def lines_by_distance(points: Sequence[Mapping[str, object]]) -> alt.Chart:
    """A line per length through points that stand at the ends (`to`) of ranges of distances."""
    lengths = sorted({int(str(point["length"])) for point in points})
    return alt.Chart().encode(
        x=alt.X(
            "to:Q",
            title=None,
            scale=alt.Scale(type="log", base=2, nice=False, padding=6),
            axis=length_axis(sorted({int(str(point["to"])) for point in points})),
        ),
        color=length_colour([str(length) for length in lengths]),
    )


def failure_bars(
    rows: pl.DataFrame, grid: Grid, models: Sequence[ShownModel], figure: FigureDefinition
) -> alt.TopLevelMixin:
    """What answers are, by length, as shares of all; a panel per model."""
    points = list(_shares(chosen(rows, grid, models, figure), grid, models))
    lengths = sorted({int(point["length"]) for point in points})
    panel = (
        alt.Chart()
        .mark_bar()
        .encode(
            x=alt.X(
                "length:N",
                title=None,
                sort=[str(length) for length in lengths],
                axis=length_axis(),
            ),
            y=alt.Y(
                "mean:Q",
                title=None,
                stack="zero",
                scale=alt.Scale(domain=[0, 100], clamp=True),
                axis=alt.Axis(values=[0, 50, 100], labelExpr=PERCENT),
            ),
            color=alt.Color(
                "kind:N",
                title=None,
                sort=list(KINDS),
                scale=alt.Scale(domain=list(KINDS), range=list(FILLS.values())),
                legend=alt.Legend(orient="top", columns=5 if len(models) > 1 else 3),
            ),
            order=alt.Order("place:Q"),
            tooltip=estimate_tips("label:N", "length:N", "kind:N"),
        )
        .properties(data=alt.Data(values=points), width=panel_width(len(models)), height=90)
    )
    samples = [{"count": point["samples"]} for point in points]
    title = heading(
        f"What the answers to {spoken(figure.suite)} are",
        f"Shares of all answers; {answers(samples, 'bar')}",
        width=page_width(len(models)),
    )
    return by_model(panel, models, title, x="context length (tokens)")


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


def _ranges(
    rows: pl.DataFrame, grid: Grid, models: Sequence[ShownModel]
) -> Iterator[dict[str, str | float]]:
    known = {model.name: model for model in models}
    for each in ranges(rows, grid, by_task=False):
        model = known[each.model]
        yield {
            "label": model.label,
            "length": str(each.length),
            "from": each.low,
            "to": each.high,
            "trained": model.trained_length,
            "mean": 100 * each.score.mean,
            "low": 100 * each.score.low,
            "high": 100 * each.score.high,
            "samples": each.score.count,
            "count": each.score.count,
        }


def _shares(
    rows: pl.DataFrame, grid: Grid, models: Sequence[ShownModel]
) -> Iterator[dict[str, str | float]]:
    labels = {model.name: model.label for model in models}
    for each in shares(rows, grid, by_task=False):
        yield {
            "label": labels[each.model],
            "length": str(each.length),
            "kind": each.kind,
            "place": KINDS.index(each.kind),
            "mean": 100 * each.share.mean,
            "low": 100 * each.share.low,
            "high": 100 * each.share.high,
            "samples": each.share.count,
            "count": each.answers,
        }
