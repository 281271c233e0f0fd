"""Margins of references over wrong values: the table `likelihood`, and two pictures.

Statistics come from `analysis.likelihoods`, colours and files from `charts`.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

import altair as alt
import polars as pl

from needlework.analysis.likelihoods import Likely, likely, places
from needlework.report.charts import spoken
from needlework.report.composition import (
    answers,
    by_model,
    heading,
    length_axis,
    page_width,
    panel_width,
)
from needlework.report.curves import BAND
from needlework.report.reasons import chosen, lines_by_distance
from needlework.statistics.contrasts import Interval
from needlework.study.definitions import FigureDefinition
from needlework.study.grid import Grid
from needlework.study.shown import ShownModel

Points = list[dict[str, str | float | None]]
COLUMNS = ("Score (%)", "Nats per token", "Margin (nats)", "First (%)", "By chance (%)")
ZERO = {"strokeDash": [1, 2], "color": "#666666"}


def listed(
    rows: pl.DataFrame, grid: Grid, labels: Mapping[str, str]
) -> tuple[list[tuple[str, ...]], list[dict[str, Any]]]:
    """The rows of a page, and those of a CSV file, which has every task."""
    whole = list(likely(rows, grid, by_task=False))
    lines: list[tuple[str, ...]] = [
        (
            each.suite,
            labels[each.model],
            str(each.length),
            f"{100 * each.score.mean:.1f}",
            limits(each.nats_per_token),
            limits(each.margin),
            "" if each.first is None else f"{100 * each.first.mean:.1f}",
            "" if each.chance is None else f"{100 * each.chance:.1f}",
        )
        for each in whole
    ]
    by_task = likely(rows, grid, by_task=True)
    return lines, [_line(each, labels) for each in (*whole, *by_task)]


def limits(found: Interval | None) -> str:
    """A number of nats with its interval; the number alone where nothing is known of it."""
    if found is None:
        return ""
    if not isfinite(found.low):
        return f"{found.value:.2f}"
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def apart(rows: pl.DataFrame) -> Iterator[str]:
    """A sentence on references that were tokenized by themselves; nothing where none was."""
    found = rows["apart"].drop_nulls()
    if found.any():
        yield (
            f"Of {len(found):,} references {found.sum():,} were tokenized by themselves, as tokens "
            "of prompt and reference together would reach across the end of the prompt."
        )


def _line(each: Likely, labels: Mapping[str, str]) -> dict[str, Any]:
    first = {} if each.first is None else each.first.model_dump(include={"mean", "low", "high"})
    return {
        "suite": each.suite,
        "task": each.task or "all",
        "model": each.model,
        "label": labels[each.model],
        "length": each.length,
        "samples": each.samples,
        "score": round(each.score.mean, 6),
        **as_columns("nats_per_token", each.nats_per_token),
        **as_columns("margin", each.margin),
        **{f"first_{name}": round(value, 6) for name, value in first.items()},
        "chance": None if each.chance is None else round(each.chance, 6),
        "apart": each.apart,
    }


def as_columns(name: str, found: Interval | None) -> dict[str, float | None]:
    """A number and its limits as columns of a CSV file; empty where they are not known."""
    ends = (None, None, None) if found is None else found
    return {
        column: round(end, 6) if end is not None and isfinite(end) else None
        for column, end in zip((name, f"{name}_low", f"{name}_high"), ends, strict=True)
    }


def margin_curve(
    rows: pl.DataFrame, grid: Grid, models: Sequence[ShownModel], figure: FigureDefinition
) -> alt.TopLevelMixin:
    """Margin by context length, points coloured by the score; a panel per model."""
    points = list(_by_length(chosen(rows, grid, models, figure), grid, models))
    lengths = sorted({int(str(point["length"])) for point in points})
    x = alt.X(
        "length:Q",
        title=None,
        scale=alt.Scale(type="log", base=2, nice=False, padding=8),
        axis=length_axis(lengths),
    )
    score = alt.Color(
        "score:Q",
        title="score (%)",
        scale=alt.Scale(domain=[0, 100], scheme="viridis"),
        legend=alt.Legend(
            gradientLength=80, orient="top", direction="horizontal", titleOrient="left"
        ),
    )
    line = alt.Chart().encode(x=x)
    panel = _layers(
        line.mark_area(opacity=BAND, color="#365c8d"),
        line.mark_line(strokeWidth=1.2, color="#444444").encode(y=_margin()),
        line.mark_point(filled=True, size=42, opacity=1, stroke="#444444", strokeWidth=0.6).encode(
            y=_margin(), color=score, tooltip=_tips("label:N", "length:Q", "score:Q")
        ),
        points,
        models,
    )
    title = _heading(
        f"Margin of the reference over wrong values in {spoken(figure.suite)}",
        "Bands: 95 % intervals; dashed: training length; below 0 a wrong value is likelier.",
        points,
        models,
    )
    return by_model(panel, models, title, x="context length (tokens)")


def margin_distance(
    rows: pl.DataFrame, grid: Grid, models: Sequence[ShownModel], figure: FigureDefinition
) -> alt.TopLevelMixin:
    """Margin by the needle's distance from the question; a panel per model, a line per length."""
    points = list(_by_distance(chosen(rows, grid, models, figure), grid, models))
    line = lines_by_distance(points)
    panel = _layers(
        line.mark_area(opacity=BAND),
        line.mark_line(strokeWidth=1.5).encode(y=_margin()),
        line.mark_point(filled=True, size=18, opacity=1).encode(
            y=_margin(), tooltip=_tips("label:N", "length:N", "from:Q", "to:Q")
        ),
        points,
        models,
    )
    title = _heading(
        f"Margin by the distance of the needle from the question in {spoken(figure.suite)}",
        "A point stands at the end of its range. Bands: 95 % intervals; dashed: training length.",
        points,
        models,
    )
    return by_model(panel, models, title, x="from the needle to the question (tokens)")


def _layers(
    area: alt.Chart,
    line: alt.Chart,
    marks: alt.Chart,
    points: Points,
    models: Sequence[ShownModel],
) -> alt.LayerChart:
    """Band, line and points over the lines of no margin and of the training length."""
    return alt.layer(
        alt.Chart().mark_rule(**ZERO).encode(y=alt.datum(0)),
        area.transform_filter("isValid(datum.low)").encode(y=alt.Y("low:Q"), y2="high:Q"),
        line,
        marks,
        alt.Chart().mark_rule(strokeDash=[3, 3], color="#666666").encode(x="max(trained):Q"),
        data=alt.Data(values=points),
    ).properties(width=panel_width(len(models)), height=90)


def _heading(
    title: str, told: str, points: Points, models: Sequence[ShownModel]
) -> alt.TitleParams:
    """A title, what the marks are, and how many answers are behind each."""
    samples = [{"count": int(str(point["samples"]))} for point in points]
    return heading(title, told, answers(samples, "point"), width=page_width(len(models)))


def _margin() -> alt.Y:
    return alt.Y("margin:Q", title="margin (nats)", axis=alt.Axis(tickCount=4))


def _tips(*fields: str) -> list[alt.Tooltip]:
    return [
        *(alt.Tooltip(field) for field in fields),
        alt.Tooltip("margin:Q", title="margin (nats)", format=".2f"),
        alt.Tooltip("low:Q", title="95 % interval from", format=".2f"),
        alt.Tooltip("high:Q", title="to", format=".2f"),
        alt.Tooltip("samples:Q", title="samples"),
    ]


def _by_length(
    rows: pl.DataFrame, grid: Grid, models: Sequence[ShownModel]
) -> Iterator[dict[str, str | float | None]]:
    compared = rows.filter(pl.col("task").is_in(_compared(rows)))
    known = {model.name: model for model in models}
    for each in likely(compared, grid, by_task=False):
        if each.margin is not None:
            model = known[each.model]
            yield {
                "label": model.label,
                "length": str(each.length),
                "trained": model.trained_length,
                "score": 100 * each.score.mean,
                **_ends(each.margin),
                "samples": each.samples,
            }


def _by_distance(
    rows: pl.DataFrame, grid: Grid, models: Sequence[ShownModel]
) -> Iterator[dict[str, str | float | None]]:
    known = {model.name: model for model in models}
    for each in places(rows, grid):
        model = known[each.model]
        yield {
            "label": model.label,
            "length": str(each.length),
            "from": each.low,
            "to": each.high,
            "trained": model.trained_length,
            **_ends(each.margin),
            "samples": each.samples,
        }


def _compared(rows: pl.DataFrame) -> list[str]:
    """The tasks that have distractors."""
    return rows.filter(pl.col("margin").is_not_null())["task"].unique().to_list()


def _ends(found: Interval) -> dict[str, float | None]:
    """A margin with its limits, which are missing where one cluster tells nothing of them."""
    is_known = isfinite(found.low)
    return {
        "margin": found.value,
        "low": found.low if is_known else None,
        "high": found.high if is_known else None,
    }
