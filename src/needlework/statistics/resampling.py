"""Means of scores with a bootstrap of questions: what asks the same is drawn together.

One question is read at several lengths, by several models and, in the depth suite, at all depths
and in all formats. Questions are drawn with replacement within each group of them, and every mean
takes the same draws, so that differences of means keep their pairs.

Where all scores of a mean are equal a bootstrap has no width. So each mean borrows two samples that
are right or wrong by a fair coin of its own: as Agresti and Min (2005, doi:10.1002/sim.1781) do for
pairs, and only for the spread around the mean, never for the mean itself.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from needlework.rng import stream_seed
from needlework.statistics.bootstrap import RESAMPLES
from needlework.statistics.contrasts import Resampled

BORROWED = 2
"""Samples that a mean borrows."""


class Questions:
    """Groups of questions, each drawn with replacement as often as it has any."""

    def __init__(self, *, seed: int) -> None:
        self._seed = seed
        self._known: dict[tuple[str, int], NDArray[np.float32]] = {}

    def mean(
        self, group: str, scores: Sequence[float | None], *, address: Sequence[str | int]
    ) -> Resampled:
        """The mean of the scores of a group's questions, in their order, with its resamples.

        A failed sample (None) scores zero; `address` is that of the mean, for its coins.

        Raises:
            ValueError: there is no score.
        """
        if not scores:
            raise ValueError("an empty cell has no mean; was every sample predicted?")
        values, count = np.array([score or 0.0 for score in scores], np.float32), len(scores)
        drawn = self._drawn(group, count)
        coins = np.random.default_rng(stream_seed(self._seed, "coins", *address))
        heads = coins.binomial(drawn[:, count].astype(np.int64), 0.5)
        means = (drawn[:, :count] @ values + heads) / count
        total = sum(score or 0.0 for score in scores)
        smoothed = (total + BORROWED / 2) / (count + BORROWED)
        draws = total / count + (means - smoothed).astype(np.float64)
        return Resampled.of(total / count, draws, (0.0, 1.0))

    def _drawn(self, group: str, count: int) -> NDArray[np.float32]:
        """How often each question comes in every resample, and last the borrowed samples."""
        if (group, count) not in self._known:
            generator = np.random.default_rng(stream_seed(self._seed, "questions", group))
            chances = np.array([1.0] * count + [float(BORROWED)]) / (count + BORROWED)
            drawn = generator.multinomial(count, chances, size=RESAMPLES)
            self._known[group, count] = drawn.astype(np.float32)
        return self._known[group, count]
