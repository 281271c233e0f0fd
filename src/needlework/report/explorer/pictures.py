"""What the explorer opens on: length curves, maps of depths and distance curves, as points.

Each point has the estimate that the figure of the same name shows and the address of its samples.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from needlework.analysis.why import ranges
from needlework.report.charts import COLOURS, DASHES, LENGTHS, SHAPES, shades, spoken
from needlework.report.curves import computed, tasks
from needlework.report.explorer.addresses import samples
from needlework.report.layout import Source
from needlework.report.notes import labels_of, named
from needlework.scores.estimates import Scores
from needlework.statistics.means import Estimate
from needlework.study.definitions import FigureDefinition, FigureKind, Name
from needlework.study.selection import selected
from needlework.study.shown import ShownModel

KINDS: tuple[FigureKind, ...] = ("length_curve", "depth_heatmap", "distance_curve")
"""The figures that the explorer draws, in its order."""
VIRIDIS = LENGTHS[::-1]
"""From dark to light, as the map of depths is coloured."""
Point = list[Any]


def looks(place: int) -> dict[str, Any]:
    """How figures draw the model at a place of the study: as `charts.looks` does."""
    return {
        "colour": COLOURS[place % len(COLOURS)],
        "dash": DASHES[place % len(DASHES)],
        "shape": SHAPES[place % len(SHAPES)],
    }


def pictures(
    figures: Sequence[FigureDefinition],
    scores: Scores,
    models: Sequence[ShownModel],
    diagnoses: pl.DataFrame,
) -> list[dict[str, Any]]:
    """The figures of a study that the explorer draws, by kind.

    A point is a model's name, a length, what else tells it from others (depth; ends of the range
    of distances), then mean, low, high, samples and the address of these.
    """
    labels = labels_of(models, scores.grid)
    found: list[dict[str, Any]] = []
    for figure in (each for kind in KINDS for each in figures if each.kind == kind):
        points = list(_points(figure, scores, models, diagnoses))
        found.append(
            {
                "kind": figure.kind,
                "suite": figure.suite,
                "title": spoken(figure.suite),
                "points": points,
                "shades": shades(len({length for _, length, *_ in points})),
                "missing": named(scores.missing(figure.suite), labels),
            }
        )
    return found


def _points(
    figure: FigureDefinition,
    scores: Scores,
    models: Sequence[ShownModel],
    diagnoses: pl.DataFrame,
) -> Iterator[Point]:
    if figure.kind == "distance_curve":
        yield from _by_distance(figure, scores, models, diagnoses)
        return
    groups = _by_depth(figure, scores) if figure.kind == "depth_heatmap" else {}
    for model in models:
        for length in computed(scores, figure, model):
            for depth, names in groups.items() or [(None, tasks(scores, figure))]:
                sources = [Source(figure.suite, task, length) for task in names]
                place = [model.name, length] + ([] if depth is None else [depth])
                found = scores.mean(model, figure.suite, names, length)
                yield [*place, *_told(found), samples(model.name, sources, scores.grid)]


def _by_depth(figure: FigureDefinition, scores: Scores) -> Mapping[int, list[Name]]:
    """The tasks that a figure shows by the depth of their needle, ascending."""
    groups: dict[int, list[Name]] = {}
    for task in selected(figure, scores.suite(figure.suite)):
        if task.depth is not None:
            groups.setdefault(task.depth, []).append(task.name)
    return dict(sorted(groups.items()))


def _by_distance(
    figure: FigureDefinition,
    scores: Scores,
    models: Sequence[ShownModel],
    diagnoses: pl.DataFrame,
) -> Iterator[Point]:
    names = tasks(scores, figure)
    shown = {(model.name, n) for model in models for n in computed(scores, figure, model)}
    rows = diagnoses.filter(pl.col("suite") == figure.suite, pl.col("task").is_in(names))
    for each in ranges(rows, scores.grid, by_task=False):
        if (each.model, each.length) in shown:
            sources = [Source(figure.suite, task, each.length) for task in names]
            link = samples(each.model, sources, scores.grid, f"distance={each.high}")
            yield [each.model, each.length, each.low, each.high, *_told(each.score), link]


def _told(found: Estimate) -> list[float]:
    """An estimate, unrounded: the page rounds once, as it shows it."""
    return [found.mean, found.low, found.high, found.count]
