"""Where a needle is found, and how much its format matters.

Colours and files come from `charts`, sizes and headings from `composition`.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from typing import Literal

import altair as alt

from needlework.report.charts import SHAPES, estimate_tips, length_colour
from needlework.report.composition import (
    PERCENT,
    Point,
    answers,
    by_model,
    heading,
    length_axis,
    page_width,
    panel_width,
)
from needlework.report.curves import BAND, computed
from needlework.scores.estimates import Scores
from needlework.statistics.contrasts import Interval, difference
from needlework.statistics.means import Estimate
from needlework.study.definitions import FigureDefinition, Name
from needlework.study.selection import needs, selected
from needlework.study.shown import ShownModel

SHADES = ("#004D80", "#7CC4F0", "#D55E00")
"""One per needle format: two blues for essays, one orange for repetition; apart in grey as well."""
COUNTED = {1: "one needle format", 2: "two needle formats", 3: "three needle formats"}


def depth_heatmap(
    scores: Scores, models: Sequence[ShownModel], figure: FigureDefinition
) -> alt.TopLevelMixin:
    """Score by depth and length, the mean over needle formats; one panel per model."""
    lengths = sorted({cell.length for cell in needs(figure, scores.grid, models)})
    rows = list(_depths(scores, models, figure))
    depths = sorted({int(row["depth"]) for row in rows})
    edges = _edges(depths)
    scale = alt.Scale(
        domain=[edges[0]["above"], edges[-1]["below"]] if edges else [0, 100],
        reverse=True,
        nice=False,
        zero=False,
    )
    place = alt.X("length:O", title=None, axis=length_axis(lengths))
    base = alt.Chart().encode(
        x=place,
        tooltip=estimate_tips("label:N", "length:O", "depth:O"),
    )
    cells = base.mark_rect().encode(
        y=alt.Y(
            "above:Q",
            title=None,
            scale=scale,
            axis=alt.Axis(values=depths, tickCount=len(depths), grid=False, labelOverlap=False),
        ),
        y2="below:Q",
        color=alt.Color("mean:Q", scale=alt.Scale(scheme="viridis", domain=[0, 100]), legend=None),
    )
    numbers = base.mark_text().encode(
        y=alt.Y("depth:Q", title=None, scale=scale),
        text=alt.Text("mean:Q", format=".0f"),
        color=alt.condition("datum.mean > 60", alt.value("black"), alt.value("white")),
    )
    # Without a fill it hides no cell from the pointer.
    outline = alt.Chart().mark_rect(filled=False, stroke="black", strokeWidth=1.5)
    outline = outline.encode(x=place).transform_filter(
        f"datum.trained && datum.depth == {depths[0] if depths else 0}"
    )
    panel = alt.layer(cells, numbers, outline, data=alt.Data(values=rows)).properties(
        width=panel_width(len(models)), height=120
    )
    notes = [
        "Rows: depth of the needle in percent, 0 where the context starts.",
        f"{_of_formats(scores, figure)} {answers(rows, 'cell')} {_widest(rows)}",
        "Outlined: training length." if any(row["trained"] for row in rows) else "",
    ]
    title = heading(
        "Score (%) by needle depth and context length", *notes, width=page_width(len(models))
    )
    chart = by_model(panel, models, title, x="context length (tokens)")
    limits = alt.LookupData(alt.Data(values=edges), key="depth", fields=["above", "below"])
    return chart.transform_lookup("depth", from_=limits)


def position_curve(
    scores: Scores, models: Sequence[ShownModel], figure: FigureDefinition
) -> alt.TopLevelMixin:
    """Score by depth with its interval, the mean over needle formats; a line per length."""
    rows = [{**row, "length": str(row["length"])} for row in _depths(scores, models, figure)]
    lengths = sorted({int(row["length"]) for row in rows})
    depths = sorted({int(row["depth"]) for row in rows})
    shown = [str(length) for length in lengths]
    scale = alt.Scale(domain=[0, 100])
    base = alt.Chart().encode(
        x=alt.X(
            "depth:Q",
            title=None,
            scale=alt.Scale(domain=[-7, 107], nice=False),
            axis=alt.Axis(values=depths, labelOverlap=True),
        ),
        color=length_colour(shown),
    )
    axis = alt.Axis(values=[0, 50, 100], labelExpr=PERCENT)
    mean = alt.Y("mean:Q", title=None, scale=scale, axis=axis)
    panel = alt.layer(
        base.mark_area(opacity=BAND).encode(y=alt.Y("low:Q", title=None), y2="high:Q"),
        base.mark_line(strokeWidth=1.5).encode(
            y=mean,
            strokeDash=alt.condition("datum.trained", alt.value([3, 2]), alt.value([1, 0])),
        ),
        base.mark_point(filled=True, size=14, opacity=1).encode(
            y=mean, tooltip=estimate_tips("label:N", "length:N", "depth:Q")
        ),
        data=alt.Data(values=rows),
    ).properties(width=panel_width(len(models)), height=90)
    notes = [
        f"{_of_formats(scores, figure)} {answers(rows, 'point')} Bands: 95 % intervals.",
        "Dashed: training length." if any(row["trained"] for row in rows) else "",
    ]
    title = heading("Score by needle depth", *notes, width=page_width(len(models)))
    return by_model(panel, models, title, x="needle depth (%; 0: start of the context)")


def format_points(
    scores: Scores, models: Sequence[ShownModel], figure: FigureDefinition
) -> alt.TopLevelMixin:
    """Score by needle format and length, the mean over depths; a panel per model.

    Models of which no two formats differ for certain have no panel and are named below the title,
    unless none has.
    """
    rows = list(_formats(scores, models, figure))
    different = [model for model in models if _differs(rows, model)]
    drawn = different or list(models)
    formats = list(dict.fromkeys(str(row["format"]) for row in rows))
    lengths = sorted({str(row["length"]) for row in rows}, key=int)
    side = {
        "x": alt.X(
            "length:N",
            title=None,
            sort=lengths,
            scale=alt.Scale(paddingInner=0.2, paddingOuter=0.1),
            axis=length_axis(),
        ),
        "xOffset": alt.XOffset("format:N", sort=formats, scale=alt.Scale(padding=0.5)),
    }
    legend = alt.Legend(orient="top", symbolOpacity=1)
    base = alt.Chart().encode(
        **side,
        color=alt.Color(
            "format:N", title=None, sort=formats, scale=_of(formats, SHADES), legend=legend
        ),
    )
    axis = alt.Axis(values=[0, 50, 100], labelExpr=PERCENT)
    panel = alt.layer(
        base.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q", title=None), y2="high:Q"),
        base.mark_point(filled=True, size=36, opacity=1).encode(
            y=alt.Y("mean:Q", title=None, scale=alt.Scale(domain=[0, 100]), axis=axis),
            shape=alt.Shape(
                "format:N", title=None, sort=formats, scale=_of(formats, SHAPES), legend=legend
            ),
            tooltip=estimate_tips("label:N", "length:N", "format:N"),
        ),
        data=alt.Data(values=rows),
    ).properties(width=panel_width(len(drawn)), height=100)
    told = ", ".join(map(str, _values(scores, figure, "depth")))
    notes = [
        f"Mean over the needle depths {told} %; {answers(rows, 'point')}",
        "Bars: 95 % intervals.",
        *_left_out(models, different),
    ]
    title = heading("Score by needle format", *notes, width=page_width(len(drawn)))
    chart = by_model(panel, drawn, title, x="context length (tokens)")
    return chart.transform_filter(
        alt.FieldOneOfPredicate(field="label", oneOf=[model.label for model in drawn])
    )


def _left_out(models: Sequence[ShownModel], different: Sequence[ShownModel]) -> list[str]:
    """Whose formats do not differ, in a sentence, if there is anybody."""
    alike = [model.label for model in models if model not in different]
    if not alike:
        return []
    if not different:
        return ["No two formats differ for certain."]
    return [f"Left out, as no two formats differ for certain: {', '.join(alike)}."]


def _differs(rows: Sequence[Point], model: ShownModel) -> bool:
    """Whether two formats of a model differ at a length, as far as their intervals tell."""
    own = [row for row in rows if row["label"] == model.label]
    return any(
        not gap.low <= 0 <= gap.high
        for one, other in combinations(own, 2)
        if one["length"] == other["length"]
        for gap in [difference(_interval(one), _interval(other))]
    )


def _interval(row: Point) -> Interval:
    return Interval(*(float(row[limit]) for limit in ("mean", "low", "high")))


def _of(names: Sequence[str], looks: Sequence[str]) -> alt.Scale:
    return alt.Scale(domain=list(names), range=list(looks[: len(names)]))


def _edges(depths: Sequence[int]) -> list[dict[str, float]]:
    """Where the cells of each depth begin and end: halfway to the next, so they are to scale."""
    if not depths:
        return []
    middles = [(one + other) / 2 for one, other in pairwise(depths)] or [depths[0] + 10]
    first, last = 2 * depths[0] - middles[0], 2 * depths[-1] - middles[-1]
    limits = [first, *middles, last] if len(depths) > 1 else [first, middles[0]]
    return [
        {"depth": depth, "above": above, "below": below}
        for depth, (above, below) in zip(depths, pairwise(limits), strict=True)
    ]


def _of_formats(scores: Scores, figure: FigureDefinition) -> str:
    """Over which formats a score is a mean, as a sentence."""
    count = len(_values(scores, figure, "format"))
    return f"Mean over {COUNTED.get(count, f'{count} needle formats')}." if count > 1 else ""


def _widest(rows: Sequence[Point]) -> str:
    """How far the widest interval reaches, as a sentence."""
    limits = [_interval(row) for row in rows]
    reach = max((max(one.high - one.value, one.value - one.low) for one in limits), default=0.0)
    return f"The widest 95 % interval is ±{reach:.0f} points."


def _values(
    scores: Scores, figure: FigureDefinition, by: Literal["depth", "format"]
) -> list[str | int]:
    """The depths or formats that a figure shows, in order."""
    return list(_grouped(scores, figure, by))


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
