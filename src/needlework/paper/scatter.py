"""Ours against published as a picture.

Agreement is decided in `needlework.paper.agreement`.
"""

from collections.abc import Sequence

import altair as alt

from needlework.paper.agreement import Agreement
from needlework.paper.audit import describe
from needlework.report.charts import looks


def scatter(found: Sequence[Agreement]) -> alt.TopLevelMixin:
    """Every number, ours over published, with both intervals and the line on which they agree."""
    labels = list(dict.fromkeys(one.number.label for one in found))
    look = looks(labels)
    scale = alt.Scale(domain=[0, 100])
    line = alt.Chart(alt.Data(values=[{"at": 0}, {"at": 100}])).mark_line(color="#777777")
    base = alt.Chart(alt.Data(values=[_row(one) for one in found])).encode(
        x=alt.X("published:Q", title="published (%)", scale=scale),
        y=alt.Y("ours:Q", title="ours (%)", scale=scale),
        color=look["color"],
    )
    rules = base.mark_rule(opacity=0.25)
    points = base.mark_point(size=36, opacity=1, strokeWidth=1.5).encode(
        shape=look["shape"],
        fill=alt.condition("datum.inside", alt.value("white"), look["color"]),
        tooltip=[
            alt.Tooltip("where:N", title="number"),
            alt.Tooltip("ours:Q", format=".2f"),
            alt.Tooltip("published:Q", format=".2f"),
            alt.Tooltip("verdict:N"),
        ],
    )
    return alt.layer(
        line.encode(x=alt.X("at:Q"), y=alt.Y("at:Q")),
        rules.encode(y="low:Q", y2="high:Q"),
        rules.encode(x="published_low:Q", x2="published_high:Q"),
        points,
    ).properties(
        width=420,
        height=420,
        title=alt.Title(
            "Ours against published",
            subtitle="lines: 95 % intervals; filled: outside the combined interval",
        ),
    )


def _row(one: Agreement) -> dict[str, str | float | bool]:
    """One number in percent; its place distinguishes it from others of the same model."""
    return {
        "label": one.number.label,
        "where": describe(one.number),
        "ours": 100 * one.ours.mean,
        "low": 100 * one.ours.low,
        "high": 100 * one.ours.high,
        "published": 100 * one.published.mean,
        "published_low": 100 * one.published.low,
        "published_high": 100 * one.published.high,
        "inside": one.is_inside,
        "verdict": "inside" if one.is_inside else "outside",
    }
