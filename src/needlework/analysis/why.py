"""Why scores fall: what wrong answers are, and how far before the question the needle lies."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import polars as pl

from needlework.scores.failures import KINDS, VALUES, Kind
from needlework.statistics.clusters import clustered
from needlework.statistics.contrasts import Interval, difference, interval
from needlework.statistics.means import Estimate
from needlework.study.config import SuiteName
from needlework.study.grid import Grid
from needlework.study.shown import ShownModel

NEAREST = 64
"""Tokens up to which needles count as the nearest; every further range ends at twice as many."""
NOTABLE = 0.10
"""What a distance or length must cost for certain to be told as a reason: 10 points."""
FEWEST = 10
"""Fewer needles say nothing of a range, and fewer wrong answers nothing of what they are."""
KEPT, LOST = 0.8, 0.1
"""A window: all ranges within it keep as much of their needles, all beyond it at most as much."""

Reason = Literal["distance", "window", "interference", "length"]


class Share(NamedTuple):
    """How many of the answers to a task are of a kind; `task` None: those of all its tasks."""

    model: str
    suite: str
    length: int
    task: str | None
    kind: Kind
    answers: int
    share: Estimate


class Range(NamedTuple):
    """The score where the needle begins `low` to `high` tokens before the question."""

    model: str
    suite: str
    length: int
    task: str | None
    low: int
    high: int
    score: Estimate


class Why(NamedTuple):
    """What one model fails by at the longest length of a suite."""

    model: ShownModel
    suite: str
    length: int
    near: Estimate
    """The score of needles as far back as at the training length."""
    trained: Estimate
    """The score of needles as far back, at the training length."""
    far: Estimate
    """The score of needles farther back."""
    by_length: Interval
    """What the length costs needles that are no farther back than at the training length."""
    by_distance: Interval
    """What the distance costs at this length."""
    window: tuple[int, int] | None
    """Tokens up to which needles are found, and from which on none are; None without such an edge.
    Between the two lies none that was asked for."""
    wrong: int
    values: Estimate | None
    """The share of the wrong answers that hold a value; None of too few."""
    kinds: tuple[tuple[Kind, int], ...]
    """The wrong answers by kind, the most frequent first."""

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """What it fails by, as far as intervals decide it; none where they decide nothing."""
        found: list[Reason] = []
        if self.window is not None:
            found.append("window")
        elif self.by_distance.high < -NOTABLE:
            found.append("distance")
        if self.by_length.high < -NOTABLE and self.values is not None:
            found.append("interference" if self.values.mean > 0.5 else "length")
        return tuple(found)


def range_of(distance: int) -> tuple[int, int]:
    """The first and last token of the range that a distance is in."""
    high = NEAREST
    while high < distance:
        high *= 2
    return (0 if high == NEAREST else high // 2 + 1), high


def shares(rows: pl.DataFrame, grid: Grid, *, by_task: bool) -> Iterator[Share]:
    """The share of every kind of answer, per model, suite and length, and per task if asked."""
    for place, group in grouped(rows, by_task=by_task):
        clusters = clusters_of(group, grid)
        for kind in KINDS:
            hits = [float(each == kind) for each in group["kind"]]
            yield Share(*place, kind, int(sum(hits)), clustered(hits, clusters))


def ranges(rows: pl.DataFrame, grid: Grid, *, by_task: bool) -> Iterator[Range]:
    """The score by distance, per model, suite and length, of needles that hold all the answer."""
    placed = rows.filter(pl.col("distance").is_not_null())
    for place, group in grouped(placed, by_task=by_task):
        by_range: dict[tuple[int, int], list[int]] = {}
        for row, distance in enumerate(group["distance"]):
            by_range.setdefault(range_of(distance), []).append(row)
        for (low, high), found in sorted(by_range.items()):
            yield Range(*place, low, high, _mean(group[found], grid))


def reasons(
    rows: pl.DataFrame, grid: Grid, models: Sequence[ShownModel], suite: SuiteName
) -> list[Why]:
    """What every model fails by in a suite; models without a score beyond training are left out."""
    placed = rows.filter(pl.col("suite") == suite, pl.col("distance").is_not_null())
    told = (_why(placed.filter(pl.col("model") == each.name), grid, each) for each in models)
    return [each for each in told if each is not None]


def _why(rows: pl.DataFrame, grid: Grid, model: ShownModel) -> Why | None:
    if not rows.height:
        return None
    suite, longest = str(rows["suite"][0]), rows.select(pl.col("length").max()).item()
    at = rows.filter(pl.col("length") == longest)
    trained = rows.filter(pl.col("length") == model.trained_length)
    is_near = pl.col("distance") <= model.trained_length
    groups = [at.filter(is_near), trained, at.filter(~is_near)]
    if longest <= model.trained_length or any(group.height < FEWEST for group in groups):
        return None
    near, before, far = (_mean(group, grid) for group in groups)
    wrong = at.filter(~pl.col("kind").is_in(["right", "partly right"]))
    held = [float(kind in VALUES) for kind in wrong["kind"]]
    counts = wrong["kind"].value_counts(sort=True).sort("count", "kind", descending=[True, False])
    return Why(
        model=model,
        suite=suite,
        length=longest,
        near=near,
        trained=before,
        far=far,
        by_length=difference(interval(near), interval(before)),
        by_distance=difference(interval(far), interval(near)),
        window=_window(list(ranges(at, grid, by_task=False))),
        wrong=wrong.height,
        values=clustered(held, clusters_of(wrong, grid)) if wrong.height >= FEWEST else None,
        kinds=tuple(counts.iter_rows()),
    )


def _window(found: Sequence[Range]) -> tuple[int, int] | None:
    """The end of the last range whose needles are found, and where the next begins, if none of
    those farther back are."""
    told = [each for each in found if each.score.count >= FEWEST]
    inside = [each for each in told if each.score.mean >= KEPT]
    outside = told[len(inside) :]
    is_edge = told[: len(inside)] == inside and all(each.score.mean <= LOST for each in outside)
    return (inside[-1].high, outside[0].low) if inside and outside and is_edge else None


def grouped(
    rows: pl.DataFrame, *, by_task: bool
) -> Iterator[tuple[tuple[str, str, int, str | None], pl.DataFrame]]:
    """The rows of every model, suite and length, and of every task if asked, with their place."""
    keys = ["model", "suite", "length", *(["task"] if by_task else [])]
    for key, group in rows.group_by(keys, maintain_order=True):
        model, suite, length, *task = key
        yield (str(model), str(suite), int(str(length)), str(task[0]) if task else None), group


def _mean(rows: pl.DataFrame, grid: Grid) -> Estimate:
    return clustered(rows["score"].to_list(), clusters_of(rows, grid))


def clusters_of(rows: pl.DataFrame, grid: Grid) -> list[tuple[str, int]]:
    """The question behind every row: tasks that share their needles ask the same ones."""
    asked = {
        (suite, task.name): task.questions
        for suite, tasks in grid.suites.items()
        for task in tasks.tasks
    }
    return [
        (asked[suite, task], index)
        for suite, task, index in rows.select("suite", "task", "index").iter_rows()
    ]
