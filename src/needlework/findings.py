"""What a study's scores say beyond means: how far models read, what they keep, who is better.

Knows models, scores and the statistics; does not know how they are printed.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import polars as pl

from needlework.bootstrap import bootstrap
from needlework.comparisons import Comparison, compare, holm
from needlework.contrasts import Interval
from needlework.depth_effects import lost_in_the_middle
from needlework.effective_length import (
    EffectiveLength,
    above_own_share,
    above_threshold,
    retention,
)
from needlework.errors import RecordError
from needlework.evidence import Evidence
from needlework.paper import DEPTHS
from needlework.power import detectable_difference, detectable_paired_difference
from needlework.statistics import Estimate, estimate
from needlework.study import ShownModel

TIMES = (2, 4, 8)
SIGNIFICANCE = 0.05
RATES = (0.5, 0.8, 0.95)
"""Scores from which the smallest visible drop is told."""
DISCORDANT = (0.1, 0.2, 0.4)
"""Shares of samples that just one of two models answers, likewise."""


class Reach(NamedTuple):
    """How far one model reads, and what it keeps beyond its training length."""

    model: ShownModel
    ruler: EffectiveLength | None
    """None where the RULER score of some length is missing: it might be the one that ends it."""
    own: EffectiveLength | None
    kept: dict[int, Interval | None]
    """Share of the score kept at so many times the training length; None where not measured."""
    middle: dict[int, Interval | None]
    """Lost-in-the-middle index at so many times the training length; None where not measured."""


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


class Cell(NamedTuple):
    """A cell with partial credit: its bootstrap interval beside the one of the tables."""

    model: str
    task: str
    length: int
    wilson: Estimate
    bootstrap: Interval


def reaches(evidence: Evidence, models: Sequence[ShownModel]) -> list[Reach]:
    """Effective lengths, retention and lost middle of every model."""
    return [_reach(evidence, model) for model in models]


def pairs(scores: pl.DataFrame, models: Sequence[ShownModel]) -> list[Pair]:
    """Every two runs that are asked the same, per suite and length, on all samples they share.

    That are models with the same prompts, and one model in two wordings: samples of an index ask
    for the same there, in other words.
    """
    found = list(_compared(scores, models))
    corrected = holm([comparison.p_value for *_, comparison in found])
    return [Pair(*one, p_value) for one, p_value in zip(found, corrected, strict=True)]


def partial_credit(scores: pl.DataFrame, *, seed: int) -> Iterator[Cell]:
    """The cells in which some score is neither 0 nor 1."""
    for key, rows in scores.group_by("model", "task", "length", maintain_order=True):
        values = rows["score"].to_list()
        if any(value not in (0.0, 1.0, None) for value in values):
            model, task, length = str(key[0]), str(key[1]), int(str(key[2]))
            interval = bootstrap(values, seed=seed, address=(model, task, length))
            yield Cell(model, task, length, estimate(values), interval)


def visible_drops(samples: int) -> dict[float, float | None]:
    """The smallest drop from a score that two cells of so many samples tell apart."""
    return {rate: detectable_difference(samples, rate=rate) for rate in RATES}


def visible_gaps(samples: int) -> dict[float, float | None]:
    """The smallest difference seen on the same samples, by the share that one model answers."""
    return {share: detectable_paired_difference(samples, discordant=share) for share in DISCORDANT}


def _reach(evidence: Evidence, model: ShownModel) -> Reach:
    lengths = evidence.lengths("ruler")
    found = {length: _ruler(evidence, model, length) for length in lengths}
    scores = {length: score for length, score in found.items() if score is not None}
    trained, whole = model.trained_length, len(scores) == len(lengths) > 0
    return Reach(
        model=model,
        ruler=above_threshold(scores) if whole else None,
        own=above_own_share(scores) if whole else None,
        kept={times: retention(scores, trained=trained, times=times) for times in TIMES},
        middle={times: _middle(evidence, model, times * trained) for times in (1, 2)},
    )


def _ruler(evidence: Evidence, model: ShownModel, length: int) -> Estimate | None:
    try:
        return evidence.ruler(model, length)
    except RecordError:
        return None


def _middle(evidence: Evidence, model: ShownModel, length: int) -> Interval | None:
    try:
        scores = {
            depth: evidence.over_formats(model, depth=depth, length=length) for depth in DEPTHS
        }
    except RecordError:
        return None
    return lost_in_the_middle(scores)


def _compared(
    scores: pl.DataFrame, models: Sequence[ShownModel]
) -> Iterator[tuple[str, str, str, int, Comparison]]:
    keys = ["suite", "length", "task", "index"]
    for one, other in combinations(models, 2):
        same_prompts = (one.tokenizer, one.wrapper) == (other.tokenizer, other.wrapper)
        if same_prompts or one.weights == other.weights:
            sides = [scores.filter(pl.col("model") == model.name) for model in (one, other)]
            both = sides[0].join(sides[1], on=keys, suffix="_other", maintain_order="left")
            for (suite, length), rows in both.group_by("suite", "length", maintain_order=True):
                yield one.name, other.name, str(suite), int(str(length)), _comparison(rows)


def _comparison(rows: pl.DataFrame) -> Comparison:
    """Compares two columns of scores, of which those that share a needle count as one."""
    unit = ["index"] if rows["suite"][0] == "depth" else ["task", "index"]
    means = rows.group_by(unit, maintain_order=True).agg(
        pl.col("score", "score_other").fill_null(0.0).mean()
    )
    first, second = means["score"].to_list(), means["score_other"].to_list()
    return compare(first, second, estimates=(estimate(first), estimate(second)))
