"""Why scores fall, in pictures: the score by distance, and what answers are by length.

Statistics come from `analysis.why`, colours and files from `charts`.
"""

from collections.abc import Iterator, Mapping, Sequence

import altair as alt
import polars as pl

from needlework.analysis.why import ranges, shares
from needlework.report.charts import estimate_tips, spoken
from needlework.report.panels import PANEL, chosen, panels, shades
from needlework.scores.failures import KINDS, Kind
from needlework.study.config import ShownModel
from needlework.study.definitions import FigureDefinition
from needlework.study.grid import Grid

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
    lengths = sorted({int(point["length"]) for point in points})
    ends = sorted({int(point["to"]) for point in points})
    shown = [str(length) for length in lengths]
    base = alt.Chart().encode(
        x=alt.X(
            "to:Q",
            title="tokens to the question",
            scale=alt.Scale(type="log", base=2, nice=False, padding=6),
            axis=alt.Axis(values=ends, format="d", labelFontSize=8, titleFontSize=9),
        ),
        color=alt.Color(
            "length:N",
            title="context length",
            sort=shown,
            scale=alt.Scale(domain=shown, range=shades(len(shown))),
            legend=alt.Legend(symbolOpacity=1),
        ),
    )
    score = alt.Scale(domain=[0, 100])
    axis = alt.Axis(values=[0, 50, 100], labelFontSize=8, titleFontSize=9)
    tips = estimate_tips("label:N", "length:N", "from:Q", "to:Q")
    panel = alt.layer(
        base.mark_area(opacity=0.25).encode(y=alt.Y("low:Q", scale=score), y2="high:Q"),
        base.mark_line(point=alt.OverlayMarkDef(size=18), strokeWidth=1.5).encode(
            y=alt.Y("mean:Q", title="score (%)", scale=score, axis=axis), tooltip=tips
        ),
        alt.Chart().mark_rule(strokeDash=[3, 3], color="#666666").encode(x="max(trained):Q"),
        data=alt.Data(values=points),
    ).properties(**PANEL)
    title = f"Score by the distance of the needle from the question, suite {spoken(figure.suite)}"
    told = "A point stands at the end of its range. Bands: 95 %; dashed: training length."
    return panels(panel, models, title, told, points)


def failure_bars(
    rows: pl.DataFrame, grid: Grid, models: Sequence[ShownModel], figure: FigureDefinition
) -> alt.TopLevelMixin:
    """What answers are, by length, as shares of all; a panel per model."""
    points = list(_shares(chosen(rows, grid, models, figure), grid, models))
    lengths = [str(length) for length in sorted({int(point["length"]) for point in points})]
    panel = (
        alt.Chart()
        .mark_bar()
        .encode(
            x=alt.X(
                "length:N",
                title="context length (tokens)",
                sort=lengths,
                axis=alt.Axis(labelAngle=0, labelFontSize=8, titleFontSize=9),
            ),
            y=alt.Y(
                "mean:Q",
                title="answers (%)",
                stack="zero",
                scale=alt.Scale(domain=[0, 100], clamp=True),
                axis=alt.Axis(values=[0, 50, 100], labelFontSize=8, titleFontSize=9),
            ),
            color=alt.Color(
                "kind:N",
                title="answer",
                sort=list(KINDS),
                scale=alt.Scale(domain=list(KINDS), range=list(FILLS.values())),
            ),
            order=alt.Order("place:Q"),
            tooltip=estimate_tips("label:N", "length:N", "kind:N"),
        )
        .properties(data=alt.Data(values=points), **PANEL)
    )
    title = f"What the answers are, suite {spoken(figure.suite)}"
    return panels(panel, models, title, "Shares of all answers.", points)


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
