"""What models keep beyond their training length, and how much the needle's format matters.

Knows marks; colours and files are the business of `figures`, estimates of `layout`.
"""

from collections.abc import Iterator, Sequence

import altair as alt

from needlework.effective_length import retention
from needlework.paper import FORMAT_DEPTHS, FORMATS
from needlework.report.layout import Scores
from needlework.statistics import Estimate, macro_mean
from needlework.study import ShownModel

TIMES = (1, 2, 4, 8, 16)
SHADES = ("#0072B2", "#56B4E9", "#E69F00")
"""One per needle format: two blues for essays, one orange for repetition."""


def retention_curve(scores: Scores, models: Sequence[ShownModel]) -> alt.TopLevelMixin:
    """Share of the RULER score kept at multiples of the training length; one panel per model."""
    rows = list(_kept(scores, models))
    base = alt.Chart().encode(
        x=alt.X(
            "times:Q",
            title="times the training length",
            scale=alt.Scale(type="log", base=2),
            axis=alt.Axis(values=sorted({row["times"] for row in rows}), format="d"),
        )
    )
    share = alt.Scale(domain=[0, 1.1], clamp=True)
    panel = alt.layer(
        base.mark_area(opacity=0.2).encode(y=alt.Y("low:Q", scale=share), y2="high:Q"),
        base.mark_line(point=True).encode(y=alt.Y("kept:Q", title="share kept", scale=share)),
        base.mark_text(dy=-9, dx=9, fontSize=9).encode(
            y=alt.Y("kept:Q", scale=share), text=alt.Text("kept:Q", format=".2f")
        ),
        data=alt.Data(values=rows),
    ).properties(width=150, height=120)
    return panel.facet(
        facet=alt.Facet("model:N", title=None, sort=[model.label for model in models]),
        columns=3,
        title="RULER score kept beyond the training length (bands: 95 % interval)",
    )


def format_bars(scores: Scores, models: Sequence[ShownModel]) -> alt.TopLevelMixin:
    """Score by needle format at 0.5x, 1x and 2x the training length; one panel per model."""
    rows = list(_formats(scores, models))
    axis = alt.Axis(labelAngle=0)
    lengths = sorted({str(row["length"]) for row in rows}, key=int)
    side = {
        "x": alt.X("length:N", title="context length (tokens)", sort=lengths, axis=axis),
        "xOffset": alt.XOffset("format:N", sort=list(FORMATS)),
    }
    panel = alt.layer(
        alt.Chart()
        .mark_bar()
        .encode(
            **side,
            y=alt.Y("mean:Q", title="score (%)", scale=alt.Scale(domain=[0, 100])),
            color=alt.Color(
                "format:N",
                title="needle format",
                sort=list(FORMATS),
                scale=alt.Scale(domain=list(FORMATS), range=SHADES),
            ),
        ),
        alt.Chart().mark_rule().encode(**side, y="low:Q", y2="high:Q"),
        data=alt.Data(values=rows),
    ).properties(width=190, height=130)
    return panel.facet(
        facet=alt.Facet("model:N", title=None, sort=[model.label for model in models]),
        columns=3,
        title="Score by needle format, depths 0, 50 and 100 % (rules: 95 % interval)",
    )


def _kept(scores: Scores, models: Sequence[ShownModel]) -> Iterator[dict[str, str | float]]:
    measured = scores.lengths("ruler")
    for model in models:
        by_length = {length: scores.ruler(model, length) for length in measured}
        for times in TIMES:
            found = retention(by_length, trained=model.trained_length, times=times)
            if found is not None:
                kept, low, high = found if times > 1 else (1.0, 1.0, 1.0)
                yield {
                    "model": model.label,
                    "times": times,
                    "kept": kept,
                    "low": low,
                    "high": min(high, 2.0),
                }


def _formats(scores: Scores, models: Sequence[ShownModel]) -> Iterator[dict[str, str | float]]:
    measured = scores.lengths("depth")
    for model in models:
        trained = model.trained_length
        for length in (trained // 2, trained, 2 * trained):
            for form in FORMATS if length in measured else ():
                found = _over_depths(scores, model, form, length)
                yield {
                    "model": model.label,
                    "length": str(length),
                    "format": form,
                    "mean": 100 * found.mean,
                    "low": 100 * found.low,
                    "high": 100 * found.high,
                }


def _over_depths(scores: Scores, model: ShownModel, form: str, length: int) -> Estimate:
    """The mean over the depths of Table 4, which hide the same needles."""
    parts = [scores.depth(model, form, depth=depth, length=length) for depth in FORMAT_DEPTHS]
    return macro_mean(parts, independent=False)
