"""A second witness of the claims: how often the reference is likelier than every wrong value.

Exact match says nothing above its ceiling and below its floor; likelihoods do. Of what they say,
claims are tested with the share of samples whose reference comes before all distractors, and not
with the mean margin: a margin has no bounds, so a few samples can be all of its mean, and nats are
another unit in every model (one that is sure of everything has large margins), so differences of
models, shares kept, and limits in points would mean nothing. The share has the unit of a score, is
right or wrong sample by sample as exact match is, and is resampled with the same questions.

By guessing exact match is 0, but one of a few values comes first often. So shares are corrected for
guessing: 0 as often as by chance, 1 always. In a mean over tasks the mean share is corrected by the
mean chance, so that a task that guessing nearly answers counts for as little as it shows.
"""

from collections.abc import Collection
from pathlib import Path

import polars as pl

from needlework.errors import RecordError
from needlework.paper.evidence import OfStudy
from needlework.scores.cells import LIKELY, estimated, read_scores
from needlework.scores.estimates import Scores
from needlework.scores.paired import Paired
from needlework.statistics.contrasts import Resampled, above_chance
from needlework.study.config import Study
from needlework.study.definitions import Name
from needlework.study.grid import Grid
from needlework.study.paper import FORMATS, TASKS
from needlework.study.shown import ShownModel


class OfLikelihoods:
    """The shares of a study's samples in its suites `ruler` and `depth`, above chance."""

    def __init__(self, rows: pl.DataFrame, grid: Grid, *, seed: int) -> None:
        """`rows` are scored samples; without likelihoods, as where all failed, no share is known.

        A failed sample has no rank and counts as not first, as its score is 0.
        """
        asked = pl.concat([rows, pl.DataFrame(schema=LIKELY)], how="diagonal")
        first = asked.with_columns(score=(pl.col("rank") == 1).cast(pl.Float64))
        self._paired = Paired(first, Scores(estimated(first), grid), seed=seed)
        self._study = OfStudy(self._paired.scores)
        place = ["model", "suite", "task", "length"]
        chances = asked.group_by(place).agg(pl.col("chance").mean()).drop_nulls()
        self._chances = {tuple(where): float(chance) for *where, chance in chances.iter_rows()}

    def lengths(self, suite: str) -> list[int]:
        """The lengths at which a suite was run, ascending."""
        return self._study.lengths(suite)

    def ruler(self, model: ShownModel, length: int) -> Resampled:
        """The mean over those of the 13 RULER tasks that have wrong values to compare with."""
        asked = {each.name: each for each in self._paired.scores.suite("ruler").tasks}
        tasks = [task for task in TASKS if task in asked and asked[task].distractors]
        if not tasks:
            raise RecordError("no task of suite ruler has wrong values to compare with")
        return self._mean(model, "ruler", tasks, length)

    def over_formats(self, model: ShownModel, *, depth: int, length: int) -> Resampled:
        """The mean over the needle formats at one depth."""
        tasks = [self._study.needle(form, depth) for form in FORMATS]
        return self._mean(model, "depth", tasks, length)

    def depth(self, model: ShownModel, form: str, *, depth: int, length: int) -> Resampled:
        """One needle format at one depth."""
        return self._mean(model, "depth", [self._study.needle(form, depth)], length)

    def _mean(
        self, model: ShownModel, suite: Name, tasks: Collection[Name], length: int
    ) -> Resampled:
        """The mean share over some tasks of a cell, above their mean chance.

        Raises:
            NotComputedError: the study asks for the cell and does not have it.
            RecordError: the study has no such cell, or all samples of a task failed.
        """
        share = self._paired.mean(model, suite, tasks, length)
        known = [self._chances.get((model.name, suite, task, length)) for task in tasks]
        found = [chance for chance in known if chance is not None]
        if len(found) < len(known):
            raise RecordError(
                f"no likelihoods of {model.name} on {suite} at length {length}: all samples of a "
                "task failed"
            )
        return above_chance(share, sum(found) / len(found))


def read_second_witness(source: Path, *, study: Study, grid: Grid) -> OfLikelihoods | None:
    """What the likelihoods in a score file say; None where its study asked for none.

    Nor do published tables, which are a folder, hold any.

    Raises:
        RecordError: the file cannot be read.
    """
    if source.is_dir() or not study.likelihood:
        return None
    return OfLikelihoods(read_scores(source), grid, seed=study.seed)
