"""What each defect costs each model, as points with intervals around 0.

Costs come from `needlework.hazards.effects`, files and fonts from `report.charts`.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import altair as alt

from needlework.analysis.findings import SIGNIFICANCE
from needlework.hazards.effects import INTERACTION, TOTAL, Breakdown, Cost
from needlework.report import charts
from needlework.report.composition import GAP, INK, TEXT, heading, noted
from needlework.study.variants import LABELS

HEADS = {**LABELS, INTERACTION: "interaction", TOTAL: "total"}
"""What each part of a breakdown is called."""
COLOUR = charts.COLOURS[0]
ROW = 11
"""Points from one row to the next."""
NAMES = 118
"""Points that the names of the rows take."""
KINDS = {"certain": "circle", "uncertain": "circle", "not tested": "diamond"}


def hazard_forest(rows: Sequence[Breakdown], *, study: str) -> alt.TopLevelMixin:
    """A row per defect and model, over all lengths: what it costs; a panel per suite."""
    over_lengths = [row for row in rows if row.length is None]
    points = list(_points(over_lengths))
    # Every suite has the models in the same order; the one with most of them comes first.
    by_suite = sorted(Counter(row.suite for row in over_lengths).items(), key=lambda one: -one[1])
    labels = list(
        dict.fromkeys(
            row.label for suite, _ in by_suite for row in over_lengths if row.suite == suite
        )
    )
    suites = list(dict.fromkeys(str(point["suite"]) for point in points))
    place = alt.Y(
        "row:N",
        title=None,
        sort=[_row(part, label) for part in HEADS for label in labels],
        axis=alt.Axis(grid=True, labelLimit=NAMES),
    )
    base = alt.Chart().encode(y=place)
    panel = alt.layer(
        alt.Chart(alt.Data(values=[{"none": 0}]))
        .mark_rule(color=INK)
        .encode(x=alt.X("none:Q", title=None)),
        base.mark_rule(strokeWidth=1.5, color=COLOUR).encode(
            x=alt.X("low:Q", title=None), x2="high:Q"
        ),
        base.mark_point(size=26, opacity=1, strokeWidth=1.2, stroke=COLOUR).encode(
            x=alt.X("cost:Q", title=None, axis=alt.Axis(format="d")),
            shape=alt.Shape(
                "kind:N",
                legend=None,
                scale=alt.Scale(domain=list(KINDS), range=list(KINDS.values())),
            ),
            fill=alt.condition("datum.kind == 'certain'", alt.value(COLOUR), alt.value("white")),
            tooltip=[
                alt.Tooltip("row:N", title="defect"),
                alt.Tooltip("suite:N"),
                alt.Tooltip("cost:Q", title="costs (points)", format=".2f"),
                alt.Tooltip("low:Q", title="95 % interval from", format=".2f"),
                alt.Tooltip("high:Q", title="to", format=".2f"),
                alt.Tooltip("kind:N", title="is"),
            ],
        ),
        data=alt.Data(values=points),
    ).properties(
        width=(TEXT - NAMES - GAP * len(suites)) // max(1, len(suites)), height=alt.Step(ROW)
    )
    chart = panel.facet(
        column=alt.Column(
            "suite:N",
            title="points that the defect costs (left of 0: it flatters)",
            sort=suites,
            header=alt.Header(titleOrient="bottom", labelOrient="top", labelPadding=2),
        ),
        spacing=GAP,
        title=heading("What each published defect costs", *_told(over_lengths)),
    )
    models = len({row.model for row in over_lengths})
    origin = f"Study {study}: {models} checkpoints, one training run each."
    return noted(chart, [origin])


def _told(rows: Sequence[Breakdown]) -> list[str]:
    """What the rows are, in sentences."""
    tests = sum(cost.p_value is not None for row in rows for cost in row.costs)
    samples = sorted({(str(_suite(row)), cost.samples) for row in rows for cost in row.costs})
    counted = "; ".join(f"{name}: n = {count:,}" for name, count in samples)
    return [
        "Score without any defect minus that with this one alone, on the same samples, mean over "
        f"the lengths. Samples per length, {counted}.",
        f"Bars: 95 % intervals. Filled: significant at {100 * SIGNIFICANCE:.0f} % ({tests} paired "
        "tests, Holm). Diamonds, not tested: what the defects of a model add to one another.",
    ]


def _suite(row: Breakdown) -> str:
    return "one needle" if row.asked.formats else charts.spoken(row.suite)


def _row(part: str, label: str) -> str:
    """What the row of a defect and a model is called."""
    return f"{HEADS[part]}: {label}"


def _points(rows: Sequence[Breakdown]) -> Iterator[dict[str, str | float]]:
    """Every cost in points; the total only of a model with several defects."""
    for row in rows:
        several = any(cost.part == INTERACTION for cost in row.costs)
        for cost in row.costs:
            if cost.part != TOTAL or several:
                points, low, high = (100 * value for value in cost.points)
                yield {
                    "row": _row(cost.part, row.label),
                    "suite": _suite(row),
                    "kind": _kind(cost),
                    "cost": points,
                    "low": low,
                    "high": high,
                }


def _kind(cost: Cost) -> str:
    """Whether a cost is certain, is not, or was not tested."""
    if cost.part == INTERACTION:
        return "not tested"
    is_certain = cost.adjusted is not None and cost.adjusted < SIGNIFICANCE
    return "certain" if is_certain else "uncertain"
