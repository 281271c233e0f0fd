"""What likelihoods say beside scores: margins over wrong values, at the ceiling and the floor.

A margin still falls where every answer is right, and the reference may come before all distractors
where none is.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import polars as pl

from needlework.analysis.why import clusters_of, grouped, range_of
from needlework.statistics.clusters import clustered, clustered_mean
from needlework.statistics.contrasts import Interval
from needlework.statistics.means import Estimate
from needlework.study.config import SuiteName
from needlework.study.grid import Grid
from needlework.study.shown import ShownModel

CEILING, FLOOR = 0.99, 0.05
"""Scores from which on answers count as all right, and up to which as all wrong."""
FEWEST = 10
"""Fewer samples of a task say nothing of it."""


class Likely(NamedTuple):
    """Likelihoods of the answers to a task; `task` None: to all tasks of the suite."""

    model: str
    suite: str
    length: int
    task: str | None
    samples: int
    """Samples with a likelihood; failed ones have none."""
    apart: int
    """Samples whose reference was tokenized by itself."""
    score: Estimate
    nats_per_token: Interval
    """Log-likelihood of the reference over its tokens, the mean over samples."""
    margin: Interval | None
    """None where no task has distractors."""
    first: Estimate | None
    """How often the reference is likelier than all distractors; never in a failed sample."""
    chance: float | None
    """How often it would be by chance."""


class Place(NamedTuple):
    """The margin where the needle begins `low` to `high` tokens before the question."""

    model: str
    suite: str
    length: int
    low: int
    high: int
    samples: int
    margin: Interval


class Falling(NamedTuple):
    """A task that is all right at two lengths, while the margin falls for certain between them."""

    task: str
    short: int
    long: int
    before: float
    after: float
    change: Interval


class Known(NamedTuple):
    """A task that is all wrong at a length, where the reference still comes first for certain."""

    task: str
    length: int
    first: Estimate
    chance: float


class Hidden(NamedTuple):
    """What scores do not show of a model in a suite."""

    model: ShownModel
    falling: tuple[Falling, ...]
    known: tuple[Known, ...]


def likely(rows: pl.DataFrame, grid: Grid, *, by_task: bool) -> Iterator[Likely]:
    """Likelihoods per model, suite and length, and per task if asked."""
    for place, group in grouped(rows, by_task=by_task):
        there = group.filter(pl.col("nats").is_not_null())
        if not there.height:
            continue
        compared = there.filter(pl.col("margin").is_not_null())
        per_token = (there["nats"] / there["nats_tokens"]).to_list()
        yield Likely(
            *place,
            samples=there.height,
            apart=int(there["apart"].sum()),
            score=clustered(group["score"].to_list(), clusters_of(group, grid)),
            nats_per_token=clustered_mean(per_token, clusters_of(there, grid)),
            margin=_margin(compared, grid),
            first=_first(group, compared, grid),
            chance=float(compared["chance"].sum()) / compared.height if compared.height else None,
        )


def places(rows: pl.DataFrame, grid: Grid) -> Iterator[Place]:
    """Margins by distance, per model, suite and length, of needles that hold all the answer."""
    placed = rows.filter(pl.col("distance").is_not_null(), pl.col("margin").is_not_null())
    for (model, suite, length, _), group in grouped(placed, by_task=False):
        by_range: dict[tuple[int, int], list[int]] = {}
        for row, distance in enumerate(group["distance"]):
            by_range.setdefault(range_of(distance), []).append(row)
        for (low, high), found in sorted(by_range.items()):
            margin = _margin(group[found], grid)
            assert margin is not None, "a range has at least one margin"
            yield Place(model, suite, length, low, high, len(found), margin)


def hidden(
    rows: pl.DataFrame, grid: Grid, models: Sequence[ShownModel], suite: SuiteName
) -> list[Hidden]:
    """What scores do not show of every model; of models without a likelihood nothing."""
    found = []
    for model in models:
        own = rows.filter(pl.col("suite") == suite, pl.col("model") == model.name)
        tasks = dict.fromkeys(own.filter(pl.col("margin").is_not_null())["task"])
        if tasks:
            groups = {task: own.filter(pl.col("task") == task) for task in tasks}
            falling = (_falling(task, group, grid) for task, group in groups.items())
            known = (_known(task, group, grid) for task, group in groups.items())
            found.append(
                Hidden(
                    model,
                    tuple(each for each in falling if each is not None),
                    tuple(each for each in known if each is not None),
                )
            )
    return found


def _falling(task: str, rows: pl.DataFrame, grid: Grid) -> Falling | None:
    """How the margin falls between the shortest and the longest length that are all right."""
    right = [length for length, score in _scores(rows).items() if score >= CEILING]
    if len(right) < 2:
        return None
    short, long = min(right), max(right)
    compared = rows.filter(pl.col("margin").is_not_null())
    before, after = (compared.filter(pl.col("length") == each) for each in (short, long))
    pairs = before.join(after, on="index", suffix="_after").sort("index")
    if pairs.height < FEWEST:
        return None
    changes = (pairs["margin_after"] - pairs["margin"]).to_list()
    change = clustered_mean(changes, clusters_of(pairs, grid))
    if change.high >= 0:
        return None
    mean, mean_after = (
        float(pairs[name].sum()) / pairs.height for name in ("margin", "margin_after")
    )
    return Falling(task, short, long, mean, mean_after, change)


def _known(task: str, rows: pl.DataFrame, grid: Grid) -> Known | None:
    """How often the reference comes first at the longest length that is all wrong."""
    wrong = [length for length, score in _scores(rows).items() if score <= FLOOR]
    if not wrong:
        return None
    at = rows.filter(pl.col("length") == max(wrong))
    compared = at.filter(pl.col("margin").is_not_null())
    first = _first(at, compared, grid)
    if compared.height < FEWEST or first is None:
        return None
    chance = float(compared["chance"].sum()) / compared.height
    if first.low <= chance:
        return None
    return Known(task, max(wrong), first, chance)


def _scores(rows: pl.DataFrame) -> dict[int, float]:
    """The score at every length."""
    means = rows.group_by("length").agg(pl.col("score").fill_null(0).mean()).sort("length")
    return dict(means.iter_rows())


def _margin(rows: pl.DataFrame, grid: Grid) -> Interval | None:
    if not rows.height:
        return None
    return clustered_mean(rows["margin"].to_list(), clusters_of(rows, grid))


def _first(group: pl.DataFrame, compared: pl.DataFrame, grid: Grid) -> Estimate | None:
    """How often the reference comes first, in all samples of the tasks that have distractors."""
    if not compared.height:
        return None
    asked = group.filter(pl.col("task").is_in(compared["task"].unique().to_list()))
    # A failed sample has no rank, and no score either.
    hits = [None if rank is None else float(rank == 1) for rank in asked["rank"]]
    return clustered(hits, clusters_of(asked, grid))
