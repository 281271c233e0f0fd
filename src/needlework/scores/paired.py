"""Means of a study's samples that were resampled together, so that differences keep their pairs."""

from collections.abc import Collection, Mapping, Sequence

import polars as pl

from needlework.errors import RecordError
from needlework.scores.estimates import Scores
from needlework.statistics.contrasts import Resampled, average
from needlework.statistics.resampling import Questions
from needlework.study.config import SuiteName
from needlework.study.definitions import Name
from needlework.study.shown import ShownModel


class Paired:
    """The means of `Scores`, from the rows behind them: questions that cells share stay pairs."""

    def __init__(self, rows: pl.DataFrame, scores: Scores, *, seed: int) -> None:
        self.scores = scores
        self._questions = Questions(seed=seed)
        self._rows: Mapping[tuple[str, str, str, int], Sequence[float | None]] = {
            (str(model), str(suite), str(task), int(str(length))): group["score"].to_list()
            for (model, suite, task, length), group in rows.sort(
                "index", maintain_order=True
            ).group_by("model", "suite", "task", "length", maintain_order=True)
        }
        self._known: dict[tuple[str, str, str, int], Resampled] = {}

    def mean(
        self, model: ShownModel, suite: SuiteName, tasks: Collection[Name], length: int
    ) -> Resampled:
        """The mean over some tasks of a cell, with its resamples.

        Raises:
            NotComputedError: the study asks for the cell and does not have it.
            RecordError: the study has no such cell.
        """
        found = average([self._task(model, suite, task, length) for task in tasks])
        assert isinstance(found, Resampled), "an average of resampled means"
        return found

    def _task(self, model: ShownModel, suite: SuiteName, task: Name, length: int) -> Resampled:
        key = (model.name, suite, task, length)
        if key not in self._known:
            self.scores.estimate(model, suite, task, length)
            asked = {each.name: each.questions for each in self.scores.suite(suite).tasks}
            if key not in self._rows or task not in asked:
                raise RecordError(
                    f"no samples of {model.name} on {task} at length {length}; scores and "
                    "estimates are of two studies, delete both and rerun snakemake"
                )
            self._known[key] = self._questions.mean(asked[task], self._rows[key], address=key)
        return self._known[key]
