"""The way from a model's score with all defects to that with none, as a picture.

Costs come from `needlework.hazards.effects`, files and fonts from `report.charts`.
"""

from collections.abc import Iterator, Mapping, Sequence

import altair as alt

from needlework.hazards.effects import REMAINDER, TOTAL, Breakdown, Cost
from needlework.report import charts
from needlework.study.variants import ALL_DEFECTS, LABELS, NO_DEFECT

COLOURS: Mapping[str, str] = {
    "score": "#777777",
    "mending raises": "#0072B2",
    "mending lowers": "#E69F00",
}
"""Told apart with any colour vision, and by the sign of the number beside the bar."""
STEPS = {**LABELS, REMAINDER: "interaction"}
COLUMNS = 2
TICKS = [0, 20, 40, 60, 80, 100]
ROOM = 12
"""Percent beyond the end of the longest bar, where its number is written."""


def hazard_waterfall(rows: Sequence[Breakdown]) -> alt.TopLevelMixin:
    """One panel per model and suite, over all lengths: from all defects, one by one, to none."""
    over_lengths = [row for row in rows if row.length is None]
    ends = [float(step["right"]) for row in over_lengths for step in _steps(row)]
    scale = alt.Scale(domain=[0, max([100.0, *ends]) + ROOM])
    suites = list(dict.fromkeys(row.suite for row in over_lengths))
    parts = []
    for suite in suites:
        lengths = sorted({row.length for row in rows if row.suite == suite and row.length})
        panels = [_panel(row, scale) for row in over_lengths if row.suite == suite]
        asked = next(row.asked for row in over_lengths if row.suite == suite)
        name = "One needle" if asked.formats else charts.spoken(suite)
        tasks = "" if asked.formats else f"{len(asked.tasks)} tasks and "
        title = f"{name}, mean over {tasks}lengths {', '.join(map(str, lengths))}"
        parts.append(alt.concat(*panels, columns=COLUMNS, title=title))
    return alt.vconcat(*parts)


def _panel(row: Breakdown, scale: alt.Scale) -> alt.LayerChart:
    steps = list(_steps(row))
    order = [str(step["step"]) for step in steps]
    base = alt.Chart().encode(y=alt.Y("step:N", title=None, sort=order))
    bars = base.mark_bar(height=14).encode(
        x=alt.X("start:Q", title="score (%)", scale=scale, axis=alt.Axis(values=TICKS)),
        x2="end:Q",
        color=alt.Color(
            "kind:N",
            title=None,
            scale=alt.Scale(domain=list(COLOURS), range=list(COLOURS.values())),
            legend=alt.Legend(orient="bottom"),
        ),
        tooltip=[
            alt.Tooltip("step:N", title="step"),
            alt.Tooltip("text:N", title="points"),
            alt.Tooltip("interval:N", title="95 % interval"),
        ],
    )
    limits = base.mark_rule().encode(x="low:Q", x2="high:Q")
    numbers = base.mark_text(align="left", dx=5, fontSize=9).encode(
        x=alt.X("right:Q", scale=scale), text="text:N"
    )
    panel = alt.layer(bars, limits, numbers, data=alt.Data(values=steps))
    return panel.properties(width=300, height=alt.Step(20), title=row.label)


def _steps(row: Breakdown) -> Iterator[dict[str, str | float]]:
    """Every bar of a panel, in percent, with the interval of where it ends."""
    place = 100 * row.all_defects
    yield _score(STEPS[ALL_DEFECTS], place)
    for cost in row.costs:
        if cost.part != TOTAL:
            yield _step(cost, place)
            place += 100 * cost.points.value
    yield _score(STEPS[NO_DEFECT], 100 * row.no_defect)


def _score(step: str, value: float) -> dict[str, str | float]:
    ends = {"start": 0.0, "end": value, "low": value, "high": value, "right": value}
    return {"step": step, "kind": "score", "text": f"{value:.1f}", "interval": "", **ends}


def _signed(points: float) -> str:
    """With its sign, where anything is left of it after rounding."""
    return f"{points:+.1f}" if round(points, 1) else "0.0"


def _step(cost: Cost, start: float) -> dict[str, str | float]:
    points, low, high = (100 * value for value in cost.points)
    return {
        "step": STEPS[cost.part],
        "kind": "mending raises" if points >= 0 else "mending lowers",
        "text": _signed(points) if cost.changed else "0",
        "interval": f"{_signed(low)} to {_signed(high)}",
        "start": start,
        "end": start + points,
        "low": start + low,
        "high": start + high,
        "right": max(start, start + high),
    }
