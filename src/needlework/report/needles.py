"""Where a needle is found, and how much its format matters.

Colours and files come from `charts`, estimates from `layout`.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import altair as alt

from needlework.report.charts import estimate_tips
from needlework.report.curves import computed
from needlework.scores.estimates import Scores
from needlework.statistics.means import Estimate
from needlework.study.config import ShownModel
from needlework.study.definitions import FigureDefinition, Name
from needlework.study.selection import needs, selected

SHADES = ("#004D80", "#7CC4F0", "#D55E00")
"""One per needle format: two blues for essays, one orange for repetition; apart in grey as well."""
GAP = 0.2
"""The share of a length's place that is left free beside its bars."""


def depth_heatmap(
    scores: Scores, models: Sequence[ShownModel], figure: FigureDefinition
) -> alt.TopLevelMixin:
    """Score by depth and length, the mean over needle formats; one panel per model."""
    lengths = {cell.length for cell in needs(figure, scores.grid, models)}
    rows = alt.Data(values=list(_depths(scores, models, figure)))
    base = alt.Chart(rows).encode(
        x=alt.X("length:O", title="context length (tokens)", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("depth:O", title="needle depth (%)"),
        tooltip=estimate_tips("label:N", "length:O", "depth:O"),
    )
    squares = base.mark_rect().encode(
        color=alt.Color(
            "mean:Q",
            title="score (%)",
            scale=alt.Scale(scheme="viridis", domain=[0, 100]),
        ),
    )
    frame = base.mark_rect(fillOpacity=0, stroke="black", strokeWidth=1.5).transform_filter(
        "datum.trained"
    )
    numbers = base.mark_text(fontSize=9).encode(
        text=alt.Text("mean:Q", format=".0f"),
        color=alt.condition("datum.mean > 60", alt.value("black"), alt.value("white")),
    )
    width = max(150, 36 * len(lengths))
    panel = alt.layer(squares, frame, numbers).properties(width=width, height=150)
    return panel.facet(
        facet=alt.Facet("label:N", title=None, sort=[model.label for model in models]),
        columns=3,
        title="Where a needle is found (framed: training length)",
    )


def format_bars(
    scores: Scores, models: Sequence[ShownModel], figure: FigureDefinition
) -> alt.TopLevelMixin:
    """Score by needle format and length, the mean over depths; one panel per model."""
    rows = list(_formats(scores, models, figure))
    formats = list(dict.fromkeys(str(row["format"]) for row in rows))
    lengths = sorted({str(row["length"]) for row in rows}, key=int)
    side = {
        "x": alt.X(
            "length:N",
            title="context length (tokens)",
            sort=lengths,
            scale=alt.Scale(paddingInner=GAP, paddingOuter=GAP / 2),
            axis=alt.Axis(labelAngle=0),
        ),
        "xOffset": alt.XOffset("format:N", sort=formats),
    }
    bars = alt.Chart().mark_bar(stroke="black", strokeWidth=0.5)
    # As wide as a step, so that it is seen on both sides of full bars.
    band = alt.Chart().mark_rect(color="#e4e4e4", width=alt.RelativeBandSize(1 / (1 - GAP)))
    panel = alt.layer(
        band.encode(x=side["x"]).transform_filter("datum.trained"),
        bars.encode(
            **side,
            y=alt.Y("mean:Q", title="score (%)", scale=alt.Scale(domain=[0, 100])),
            color=_shades(formats),
            tooltip=estimate_tips("label:N", "length:N", "format:N"),
        ),
        alt.Chart().mark_rule().encode(**side, y="low:Q", y2="high:Q"),
        data=alt.Data(values=rows),
    ).properties(width=max(190, 60 * len(lengths)), height=130)
    return panel.facet(
        facet=alt.Facet("label:N", title=None, sort=[model.label for model in models]),
        columns=3,
        title="Score by needle format (shaded: training length; rules: 95 % interval)",
    )


def _shades(formats: list[str]) -> alt.Color:
    return alt.Color(
        "format:N",
        title="needle format",
        sort=formats,
        scale=alt.Scale(domain=formats, range=SHADES[: len(formats)]),
        legend=alt.Legend(symbolStrokeWidth=0.5),
    )


def _percent(found: Estimate) -> dict[str, float]:
    return {
        "mean": 100 * found.mean,
        "low": 100 * found.low,
        "high": 100 * found.high,
        "count": found.count,
    }


def _depths(
    scores: Scores, models: Sequence[ShownModel], figure: FigureDefinition
) -> Iterator[dict[str, str | float]]:
    by_depth = _grouped(scores, figure, "depth")
    for model in models:
        for length in computed(scores, figure, model):
            for depth, tasks in by_depth.items():
                yield {
                    "label": model.label,
                    "length": length,
                    "depth": depth,
                    "trained": length == model.trained_length,
                    **_percent(scores.mean(model, figure.suite, tasks, length)),
                }


def _formats(
    scores: Scores, models: Sequence[ShownModel], figure: FigureDefinition
) -> Iterator[dict[str, str | float]]:
    by_format = _grouped(scores, figure, "format")
    for model in models:
        for length in computed(scores, figure, model):
            for form, tasks in by_format.items():
                yield {
                    "label": model.label,
                    "length": str(length),
                    "format": form,
                    "trained": length == model.trained_length,
                    **_percent(scores.mean(model, figure.suite, tasks, length)),
                }


def _grouped(
    scores: Scores, figure: FigureDefinition, by: Literal["depth", "format"]
) -> dict[str | int, list[Name]]:
    """The tasks that a figure shows, by depth or by format, in order."""
    groups: dict[str | int, list[Name]] = {}
    for task in selected(figure, scores.suite(figure.suite)):
        value = task.depth if by == "depth" else task.format
        if value is not None:
            groups.setdefault(value, []).append(task.name)
    wanted: Sequence[str | int] = figure.depths if by == "depth" else figure.formats
    return {value: groups[value] for value in wanted or sorted(groups)}
