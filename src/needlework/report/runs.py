"""Lines of recipes that were trained several times: their mean, and each training run beside it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import altair as alt

from needlework.analysis.training_runs import runs_of
from needlework.report.composition import Point
from needlework.study.shown import ShownModel

RUNS = "from the worst run to the best"
"""What a band is of a recipe that was trained several times; each run is a thin line."""


def over_runs(
    models: Sequence[ShownModel], points: Callable[[ShownModel], list[Point]], *, at: str
) -> tuple[list[Point], list[Point]]:
    """The points of every recipe, and of those with several training runs also each run's own.

    `at` names what points of all runs share. Of several runs a point is their mean, and its bounds
    are the worst and the best of them.
    """
    recipes: list[Point] = []
    own: list[Point] = []
    for runs in runs_of(models):
        of_runs = [points(run) for run in runs]
        if len(runs) == 1:
            recipes += of_runs[0]
            continue
        own += [
            {**point, "label": runs[0].label, "run": run.label}
            for run, found in zip(runs, of_runs, strict=True)
            for point in found
        ]
        for first in of_runs[0]:
            there = [point for found in of_runs for point in found if point[at] == first[at]]
            recipes.append(_of_several(first, there))
    return recipes, own


def _of_several(first: Point, there: Sequence[Point]) -> Point:
    """The point of several runs, which is like the first but for its numbers."""
    value = "mean" if "mean" in first else "kept"
    values = [float(point[value]) for point in there]
    return {
        **first,
        value: sum(values) / len(values),
        "low": min(values),
        "high": max(values),
        "count": sum(int(point["count"]) for point in there),
        "runs": len(there),
    }


def of_recipes(every: alt.Chart, *, marked: bool, runs: bool) -> alt.Chart:
    """What is drawn of recipes alone, without controls and single runs where there are any."""
    others = [name for name, there in (("control", marked), ("run", runs)) if there]
    left_out = " && ".join(f"!datum.{name}" for name in others)
    return every.transform_filter(left_out) if left_out else every


def thin_lines(
    every: alt.Chart, y: alt.Y, look: Mapping[str, Any], runs: Sequence[Point]
) -> list[alt.Chart]:
    """A thin line for each run of recipes with several."""
    if not runs:
        return []
    line = every.mark_line(strokeWidth=0.6, opacity=0.7)
    return [
        line.encode(y=y, detail="run:N", strokeDash=look["strokeDash"]).transform_filter(
            "datum.run"
        )
    ]


def bands(rows: Sequence[Point], runs: Sequence[Point]) -> str:
    """What bands show, in a sentence."""
    if not runs:
        return "Bands: 95 % intervals."
    if all("runs" in row for row in rows):
        return f"Bands: {RUNS}."
    return f"Bands: 95 % intervals; where a recipe was trained several times, {RUNS}."
