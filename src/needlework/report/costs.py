"""Score against time: what an answer of a model takes on one device.

Costs come from `needlework.cost`, colours and files from `charts`.
"""

from collections.abc import Iterator, Mapping, Sequence

import altair as alt

from needlework.cost.measured import JobHours
from needlework.report.charts import estimate_tips, looks, spoken
from needlework.report.composition import (
    TEXT,
    Point,
    answers,
    framed,
    heading,
    names_at_ends,
)
from needlework.report.curves import computed, tasks
from needlework.scores.estimates import Scores
from needlework.study.definitions import FigureDefinition
from needlework.study.grid import Cell
from needlework.study.shown import ShownModel

UNITS = (("hours", 3600), ("minutes", 60), ("seconds", 1))
"""What time is told in, with the seconds of each: the largest of which every answer takes one."""
TICKS = [digit * 10.0**power for power in range(-6, 7) for digit in (1, 3)]
"""Times with a label: so far apart on a logarithmic axis that no two labels touch."""


def score_against_cost(
    hours: Mapping[Cell, JobHours],
    scores: Scores,
    models: Sequence[ShownModel],
    figure: FigureDefinition,
) -> alt.TopLevelMixin:
    """A suite's score over the time of an answer; a line per model, a point per length."""
    rows = list(_rows(hours, scores, models, figure))
    unit, size = _unit(rows)
    points: list[Point] = [{**row, "time": float(row["seconds"]) / size} for row in rows]
    labels = [model.label for model in models]
    look = looks(labels)
    devices = {str(row["device"]).upper() for row in rows if row["device"]}
    device = min(devices) if len(devices) == 1 else "device"
    x = alt.X(
        "time:Q",
        title=f"{unit} of one {device} per answer",
        scale=alt.Scale(type="log", nice=False, padding=12),
        axis=alt.Axis(format="~g", values=TICKS),
    )
    base = alt.Chart().encode(x=x, color=look["color"])
    score = alt.Y(
        "mean:Q", title=f"{spoken(figure.suite)} score (%)", scale=alt.Scale(domain=[0, 100])
    )
    chart = alt.layer(
        base.mark_line(strokeWidth=1).encode(
            y=score, strokeDash=look["strokeDash"], order=alt.Order("length:Q")
        ),
        base.mark_rule().encode(y="low:Q", y2="high:Q"),
        base.mark_point(size=30, opacity=1, strokeWidth=1.5).encode(
            y=score,
            shape=look["shape"],
            fill=alt.condition(
                "datum.kind === 'measured'", look["color"], alt.value("white"), legend=None
            ),
            tooltip=[
                *estimate_tips("label:N", "length:Q"),
                alt.Tooltip("seconds:Q", title="seconds per answer", format=".3g"),
                alt.Tooltip("hours:Q", title="hours of all answers", format=".3g"),
                alt.Tooltip("kind:N", title="hours are"),
                alt.Tooltip("device:N"),
            ],
        ),
        names_at_ends(points, x=x, value="mean", color=look["color"], height=150, top=100),
        data=alt.Data(values=rows),
    ).transform_calculate(time=f"datum.seconds / {size}")
    title = heading(f"{spoken(figure.suite)} score against the time of an answer", *_told(rows))
    return framed(chart, width=TEXT, height=230).properties(title=title)


def _told(rows: Sequence[Point]) -> list[str]:
    """What the points are, in sentences."""
    lengths = ", ".join(f"{length:,}" for length in sorted({int(row["length"]) for row in rows}))
    kinds = {str(row["kind"]) for row in rows}
    times = {
        frozenset({"measured"}): "Times: wall time of a job over its answers, measured once.",
        frozenset({"estimated"}): "Hollow: times are estimated.",
    }
    mixed = "Filled: wall time of a job over its answers, measured once; hollow: an estimate."
    return [
        f"A point per context length, along a line: {lengths} tokens.",
        answers(rows, "point"),
        "Bars: 95 % intervals.",
        times.get(frozenset(kinds), mixed),
    ]


def _unit(rows: Sequence[Point]) -> tuple[str, int]:
    """What the times of these points are told in, and its seconds."""
    shortest = min((float(row["seconds"]) for row in rows), default=0.0)
    return next((unit for unit in UNITS if shortest >= unit[1]), UNITS[-1])


def _rows(
    hours: Mapping[Cell, JobHours],
    scores: Scores,
    models: Sequence[ShownModel],
    figure: FigureDefinition,
) -> Iterator[dict[str, str | float]]:
    """Every model at every length that has a score and a cost, the score in percent.

    The seconds are those of a job over all of its answers, whatever tasks the figure shows.
    """
    shown = tasks(scores, figure)
    for model in models:
        for length in computed(scores, figure, model):
            job = hours.get(Cell(model.name, figure.suite, length))
            if job is not None:
                found = scores.mean(model, figure.suite, shown, length)
                asked = scores.suite(figure.suite).names()
                count = sum(
                    scores.estimate(model, figure.suite, task, length).count for task in asked
                )
                yield {
                    "label": model.label,
                    "length": length,
                    **job._asdict(),
                    "seconds": 3600 * job.hours / count,
                    "mean": 100 * found.mean,
                    "low": 100 * found.low,
                    "high": 100 * found.high,
                    "count": found.count,
                }
