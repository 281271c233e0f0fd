"""Findings beyond means: effective length, retention, effects of depth, paired comparisons."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import polars as pl

from needlework.analysis.comparisons import Comparison, compare, holm
from needlework.analysis.depth_effects import ENDS, MIDDLE, lost_in_the_middle
from needlework.analysis.depth_effects import Middle as Depths
from needlework.analysis.effective_length import (
    EffectiveLength,
    above_own_share,
    above_threshold,
    retention,
)
from needlework.scores.estimates import Scores
from needlework.scores.paired import Paired
from needlework.statistics.bootstrap import bootstrap
from needlework.statistics.contrasts import Interval
from needlework.statistics.means import Estimate, estimate
from needlework.statistics.power import detectable_difference, detectable_paired_difference
from needlework.study.config import SuiteName
from needlework.study.definitions import Name
from needlework.study.grid import Grid
from needlework.study.shown import ShownModel

KEYS = ["suite", "length", "task", "index"]
"""The columns that name a sample."""
TIMES = (2, 4, 8)
FREQUENT = "fwe"
"""A task apart: any window of the context shows which words are frequent, so it needs no length."""
GROUPS: Mapping[str, Callable[[str], bool]] = {
    "retrieval": lambda task: task.startswith("niah"),
    "tracing": lambda task: task == "vt",
    "aggregation": lambda task: task == "cwe",
    "qa": lambda task: task.startswith("qa"),
    "frequent words": lambda task: task == FREQUENT,
    "all but frequent words": lambda task: task != FREQUENT,
}
"""RULER's groups of tasks by name, fwe by itself; and all tasks without it."""
SIGNIFICANCE = 0.05
RATES = (0.5, 0.8, 0.95)
"""Scores from which the smallest visible drop is computed."""
DISCORDANT = (0.1, 0.2, 0.4)
"""Shares of samples that just one of two models answers, likewise."""


class Reach(NamedTuple):
    """How far one model reads in a suite, and what it keeps beyond its training length."""

    model: ShownModel
    bar: EffectiveLength | None
    """Above RULER's bar; None where the score of some length is missing: it might end there."""
    own: EffectiveLength | None
    groups: dict[str, EffectiveLength | None]
    """Above a share of its own score, of the tasks of each group that the suite has."""
    kept: dict[int, Interval | None]
    """Share of the score kept at so many times the training length; None where not measured."""


class Middle(NamedTuple):
    """What one model loses in the middle of its context."""

    model: ShownModel
    lost: dict[int, Depths | None]
    """At so many times the training length, beside both ends; None where not measured."""


class Pair(NamedTuple):
    """Two models that answered the same samples of a suite at one length."""

    first: str
    second: str
    suite: str
    length: int
    comparison: Comparison
    corrected: float
    """The p-value, corrected for all pairs of the study (Holm)."""

    @property
    def is_significant(self) -> bool:
        """Whether chance is ruled out at 5 %, all pairs looked at together."""
        return self.corrected < SIGNIFICANCE


class CellInterval(NamedTuple):
    """A cell with partial credit: its bootstrap interval beside the one of the tables."""

    model: str
    task: str
    length: int
    wilson: Estimate
    bootstrap: Interval


def reaches(scores: Scores, models: Sequence[ShownModel], suite: SuiteName) -> list[Reach]:
    """Effective lengths and retention of every model in a suite."""
    return [_reach(scores, model, suite) for model in models]


def middles(scores: Paired, models: Sequence[ShownModel], suite: SuiteName) -> list[Middle]:
    """What every model loses in the middle, in a suite of needles at fixed depths."""
    return [
        Middle(model, {n: _middle(scores, model, suite, n * model.trained_length) for n in (1, 2)})
        for model in models
    ]


def pairs(scores: pl.DataFrame, models: Sequence[ShownModel], grid: Grid) -> list[Pair]:
    """Every two runs that are asked the same, per suite and length, on all samples they share.

    That are models with the same prompts, and one model in two wordings: samples of an index ask
    for the same there, in other words.
    """
    found = list(_compared(scores.join(_questions(grid), on=["suite", "task"]), models))
    corrected = holm([comparison.p_value for *_, comparison in found])
    return [Pair(*one, p_value) for one, p_value in zip(found, corrected, strict=True)]


def paired_means(
    one: pl.DataFrame, other: pl.DataFrame, grid: Grid
) -> tuple[list[float], list[float]]:
    """The scores of both sides by question: those of samples that share a needle as their mean."""
    both = one.join(other, on=KEYS, suffix="_other", maintain_order="left")
    return _by_question(both.join(_questions(grid), on=["suite", "task"], maintain_order="left"))


def groups_of(tasks: Sequence[Name]) -> dict[str, list[Name]]:
    """Of a suite's tasks those of each group that has some and not all of them."""
    chosen = {group: [task for task in tasks if holds(task)] for group, holds in GROUPS.items()}
    return {group: found for group, found in chosen.items() if 0 < len(found) < len(tasks)}


def partial_credit(scores: pl.DataFrame, *, seed: int) -> Iterator[CellInterval]:
    """The cells in which some score is neither 0 nor 1."""
    once = scores.unique(["model", "task", "length", "index"], keep="first", maintain_order=True)
    for key, rows in once.group_by("model", "task", "length", maintain_order=True):
        values = rows["score"].to_list()
        if any(value not in (0.0, 1.0, None) for value in values):
            model, task, length = str(key[0]), str(key[1]), int(str(key[2]))
            interval = bootstrap(values, seed=seed, address=(model, task, length))
            yield CellInterval(model, task, length, estimate(values), interval)


def visible_drops(samples: int) -> dict[float, float | None]:
    """The smallest drop from a score that two cells of so many samples distinguish."""
    return {rate: detectable_difference(samples, rate=rate) for rate in RATES}


def visible_gaps(samples: int) -> dict[float, float | None]:
    """The smallest difference seen on the same samples, by the share that one model answers."""
    return {share: detectable_paired_difference(samples, discordant=share) for share in DISCORDANT}


def _reach(scores: Scores, model: ShownModel, suite: SuiteName) -> Reach:
    names = scores.suite(suite).names()
    found = _by_length(scores, model, suite, names)
    is_whole = len(found) == len(scores.suite(suite).lengths)
    trained = model.trained_length
    return Reach(
        model=model,
        bar=above_threshold(found) if is_whole else None,
        own=above_own_share(found) if is_whole else None,
        groups={
            group: above_own_share(_by_length(scores, model, suite, tasks)) if is_whole else None
            for group, tasks in groups_of(names).items()
        },
        kept={times: retention(found, trained=trained, times=times) for times in TIMES},
    )


def _by_length(
    scores: Scores, model: ShownModel, suite: SuiteName, tasks: Sequence[Name]
) -> dict[int, Estimate]:
    """The mean over some tasks at every length that is computed."""
    lengths = scores.computed(model, suite)
    return {length: scores.mean(model, suite, tasks, length) for length in lengths}


def _middle(paired: Paired, model: ShownModel, suite: SuiteName, length: int) -> Depths | None:
    """What the middle scores beside both ends; None where a depth for it is not measured."""
    scores, tasks = paired.scores, dict[int, list[Name]]()
    for task in scores.suite(suite).tasks:
        if task.depth is not None:
            tasks.setdefault(task.depth, []).append(task.name)
    # A study may ask at some depths of the middle only.
    middle = tuple(depth for depth in MIDDLE if depth in tasks)
    if not (middle and tasks.keys() >= {*ENDS}) or length not in scores.computed(model, suite):
        return None
    wanted = {depth: tasks[depth] for depth in (*middle, *ENDS)}
    means = {depth: paired.mean(model, suite, names, length) for depth, names in wanted.items()}
    return lost_in_the_middle(means, middle=middle)


def _questions(grid: Grid) -> pl.DataFrame:
    """Which tasks of a suite ask the same questions."""
    rows = [
        (suite, task.name, task.questions)
        for suite, asked in grid.suites.items()
        for task in asked.tasks
    ]
    return pl.DataFrame(rows, schema=["suite", "task", "questions"], orient="row")


def _compared(
    scores: pl.DataFrame, models: Sequence[ShownModel]
) -> Iterator[tuple[str, str, str, int, Comparison]]:
    for one, other in combinations(models, 2):
        same_prompts = (one.tokenizer, one.wrapper) == (other.tokenizer, other.wrapper)
        if same_prompts or one.weights == other.weights:
            sides = [scores.filter(pl.col("model") == model.name) for model in (one, other)]
            both = sides[0].join(sides[1], on=KEYS, suffix="_other", maintain_order="left")
            for (suite, length), rows in both.group_by("suite", "length", maintain_order=True):
                yield one.name, other.name, str(suite), int(str(length)), _comparison(rows)


def _comparison(rows: pl.DataFrame) -> Comparison:
    """Compares two columns of scores, of which those that share a needle count as one."""
    first, second = _by_question(rows)
    return compare(first, second, estimates=(estimate(first), estimate(second)))


def _by_question(rows: pl.DataFrame) -> tuple[list[float], list[float]]:
    """Two columns of scores, each question once."""
    means = rows.group_by("questions", "index", maintain_order=True).agg(
        pl.col("score", "score_other").fill_null(0.0).mean()
    )
    return means["score"].to_list(), means["score_other"].to_list()
