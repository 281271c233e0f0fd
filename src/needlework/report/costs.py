"""Score against hours: what a model's answers take on one device.

Costs come from `needlework.cost`, colours and files from `charts`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

import altair as alt

from needlework.cost.measured import JobHours
from needlework.report.charts import estimate_tips, looks, spoken
from needlework.report.curves import computed, tasks
from needlework.scores.estimates import Scores
from needlework.study.config import ShownModel
from needlework.study.definitions import FigureDefinition
from needlework.study.grid import Cell

PANEL = "datum.length + ' tokens'"
"""What stands above a panel."""
TICKS = [digit * 10.0**power for power in range(-6, 7) for digit in (1, 3)]
"""Hours with a label: so far apart on a logarithmic axis that no two labels touch."""


def score_against_cost(
    hours: Mapping[Cell, JobHours],
    scores: Scores,
    models: Sequence[ShownModel],
    figure: FigureDefinition,
) -> alt.TopLevelMixin:
    """A suite's score over the hours of its cells; one panel per length."""
    rows = list(_rows(hours, scores, models, figure))
    panels = [f"{length} tokens" for length in sorted({int(row["length"]) for row in rows})]
    look = looks([model.label for model in models])
    devices = {str(row["device"]) for row in rows if row["device"]}
    base = alt.Chart().encode(x=_hours(devices), color=look["color"])
    name = f"{spoken(figure.suite)} score (%)"
    score = alt.Y("mean:Q", title=name, scale=alt.Scale(domain=[0, 100]))
    panel = alt.layer(
        base.mark_rule().encode(y=alt.Y("low:Q"), y2="high:Q"),
        base.mark_point(size=45, opacity=1, strokeWidth=1.8).encode(
            y=score,
            shape=look["shape"],
            fill=alt.condition(
                "datum.kind === 'measured'", look["color"], alt.value("white"), legend=None
            ),
            tooltip=[
                *estimate_tips("label:N", "length:Q"),
                alt.Tooltip("hours:Q", format=".3g"),
                alt.Tooltip("kind:N", title="hours are"),
                alt.Tooltip("device:N"),
            ],
        ),
        data=alt.Data(values=rows),
    ).properties(width=190, height=200)
    return panel.facet(
        facet=alt.Facet("panel:N", title=None, sort=panels),
        columns=3,
        title="What a score costs (filled: measured, hollow: estimated; rules: 95 % interval)",
    ).transform_calculate(panel=PANEL)


def _hours(devices: Collection[str]) -> alt.X:
    return alt.X(
        "hours:Q",
        title=f"hours of one {min(devices).upper() if len(devices) == 1 else 'device'}",
        scale=alt.Scale(type="log", nice=False, padding=15),
        axis=alt.Axis(format="~g", values=TICKS, grid=False),
    )


def _rows(
    hours: Mapping[Cell, JobHours],
    scores: Scores,
    models: Sequence[ShownModel],
    figure: FigureDefinition,
) -> Iterator[dict[str, str | float]]:
    """Every model at every length that has a score and a cost, the score in percent."""
    shown = tasks(scores, figure)
    for model in models:
        for length in computed(scores, figure, model):
            job = hours.get(Cell(model.name, figure.suite, length))
            if job is not None:
                found = scores.mean(model, figure.suite, shown, length)
                yield {
                    "label": model.label,
                    "length": length,
                    **job._asdict(),
                    "mean": 100 * found.mean,
                    "low": 100 * found.low,
                    "high": 100 * found.high,
                    "count": found.count,
                }
