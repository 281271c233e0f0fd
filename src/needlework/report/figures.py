"""The pictures of a study, by name: where a needle is found, how far each architecture reads.

Knows marks and colours; which estimate is shown is the business of `layout`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import altair as alt

from needlework.cells import read_estimates
from needlework.errors import StudyError
from needlework.files import atomic
from needlework.paper import DEPTHS
from needlework.report import charts
from needlework.report.layout import Scores
from needlework.study import ShownModel

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#8C6D31", "#000000")
"""Okabe and Ito's palette, told apart with any colour vision."""

FAMILIES = ("linear", "hybrid", "attention")
FONT = "DejaVu Sans"
PIXELS_PER_POINT = 2


def write_figure(kind: str, cells: Path, output: Path, *, models: Sequence[ShownModel]) -> None:
    """Draw a figure as `output` with the suffixes .svg and .png.

    Raises:
        RecordError: a cell that the figure shows is missing.
        StudyError: there is no figure of that kind.
    """
    if kind not in FIGURES:
        raise StudyError(f"there is no figure {kind}; choose one of {', '.join(FIGURES)}")
    save(FIGURES[kind](Scores(read_estimates(cells)), models), output)


def save(chart: alt.TopLevelMixin, output: Path) -> None:
    """Write a chart in the style of all figures as `output` with the suffixes .svg and .png."""
    styled = chart.configure(font=FONT, background="white")
    for suffix in (".svg", ".png"):
        with atomic(output.with_suffix(suffix)) as temporary:
            styled.save(temporary, format=suffix[1:], scale_factor=PIXELS_PER_POINT)


def depth_heatmap(scores: Scores, models: Sequence[ShownModel]) -> alt.TopLevelMixin:
    """Score by depth and length, the mean over needle formats; one panel per model."""
    rows = [
        {
            "model": model.label,
            "length": length,
            "depth": depth,
            "score": 100 * scores.over_formats(model, depth=depth, length=length).mean,
            "trained": length == model.trained_length,
        }
        for model in models
        for length in scores.lengths("depth")
        for depth in DEPTHS
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("length:O", title="context length (tokens)", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("depth:O", title="needle depth (%)"),
    )
    squares = base.mark_rect().encode(
        color=alt.Color(
            "score:Q",
            title="score (%)",
            scale=alt.Scale(scheme="viridis", domain=[0, 100]),
        ),
    )
    frame = base.mark_rect(fillOpacity=0, stroke="black", strokeWidth=1.5).transform_filter(
        "datum.trained"
    )
    numbers = base.mark_text(fontSize=9).encode(
        text=alt.Text("score:Q", format=".0f"),
        color=alt.condition("datum.score > 60", alt.value("black"), alt.value("white")),
    )
    panel = alt.layer(squares, frame, numbers).properties(width=150, height=150)
    return panel.facet(
        facet=alt.Facet("model:N", title=None, sort=[model.label for model in models]),
        columns=3,
        title="Where a needle is found (framed: training length)",
    )


def length_curve(scores: Scores, models: Sequence[ShownModel]) -> alt.TopLevelMixin:
    """RULER score by length with its 95 % interval; one panel per family, one line per model."""
    lengths = scores.lengths("ruler")
    rows = [_point(scores, model, length) for model in models for length in lengths]
    labels = [model.label for model in models]
    colours = alt.Scale(domain=labels, range=COLOURS)
    base = alt.Chart().encode(
        x=alt.X(
            "length:Q",
            title="context length (tokens)",
            scale=alt.Scale(type="log", base=2),
            axis=alt.Axis(values=lengths, format="d"),
        ),
    )
    mean = alt.Y("mean:Q", title="RULER score (%)", scale=alt.Scale(domain=[0, 100]))
    colour = alt.Color("model:N", title="model", scale=colours, legend=alt.Legend(symbolOpacity=1))
    trained = alt.Chart().mark_rule(strokeDash=[4, 3], color="grey")
    panel = alt.layer(
        trained.encode(x="max(trained):Q", detail="model:N"),
        base.mark_area(opacity=0.15).encode(y="low:Q", y2="high:Q", color=colour),
        base.mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=45)).encode(
            y=mean, color=colour
        ),
        data=alt.Data(values=rows),
    ).properties(width=210, height=220)
    return panel.facet(
        column=alt.Column("family:N", title=None, sort=list(FAMILIES)),
        title="How far each architecture reads (dashed: training length; bands: 95 % interval)",
    )


def _point(scores: Scores, model: ShownModel, length: int) -> dict[str, str | float]:
    """One model at one length, in percent."""
    found = scores.ruler(model, length)
    return {
        "model": model.label,
        "family": model.family,
        "length": length,
        "trained": model.trained_length,
        "mean": 100 * found.mean,
        "low": 100 * found.low,
        "high": 100 * found.high,
    }


FIGURES: dict[str, Callable[[Scores, Sequence[ShownModel]], alt.TopLevelMixin]] = {
    "depth_heatmap": depth_heatmap,
    "format_bars": charts.format_bars,
    "length_curve": length_curve,
    "retention_curve": charts.retention_curve,
}
"""Every figure by its name, which is the stem of its files."""
