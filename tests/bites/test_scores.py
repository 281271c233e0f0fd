"""Would the laws of scores notice? Each scorer below is broken in one way a benchmark was."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from needlework import statistics
from needlework.report import layout
from needlework.statistics import Estimate
from tests.laws import test_statistics as laws
from tests.unit.report import test_layout as tables

honest = statistics.estimate


def test_a_mean_that_drops_failures_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """HELMET leaves outputs that are None out of the mean, so failures raise it."""

    def dropping(scores: Sequence[float | None]) -> Estimate:
        return honest([score for score in scores if score is not None] or [0.0])

    monkeypatch.setattr(laws, "estimate", dropping)
    with pytest.raises(AssertionError):
        laws.test_the_mean_is_the_sum_over_everything_asked()


def test_an_interval_that_collapses_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A normal approximation has no width at 0 and at 1."""

    def normal(scores: Sequence[float | None]) -> Estimate:
        found = honest(scores)
        reach = laws.Z95 * (found.mean * (1 - found.mean) / found.count) ** 0.5
        return found.model_copy(
            update={"low": max(0.0, found.mean - reach), "high": min(1.0, found.mean + reach)}
        )

    monkeypatch.setattr(laws, "estimate", normal)
    with pytest.raises(AssertionError):
        laws.test_the_interval_encloses_the_mean_and_never_collapses()


def test_a_mean_over_fewer_tasks_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that averages what happens to be there changes its meaning silently."""

    def lenient(self: layout.Scores, model: layout.ShownModel, length: int) -> Estimate:
        parts = [
            self._by_key[model.name, task, length]
            for task in layout.TASKS
            if (model.name, task, length) in self._by_key
        ]
        return statistics.macro_mean(parts, independent=True)

    monkeypatch.setattr(layout.Scores, "ruler", lenient)
    with pytest.raises(pytest.fail.Exception):
        tables.test_a_missing_cell_is_an_error_with_its_address()


def test_a_best_mark_across_lengths_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """At twice the training length something is best, too."""
    table = layout._format_table

    def without_rivals(*arguments: object) -> layout.Table:
        made = table(*arguments)  # type: ignore[arg-type]
        return replace(made, rows=tuple(replace(row, rivals="") for row in made.rows))

    monkeypatch.setattr(layout, "_format_table", without_rivals)
    with pytest.raises(AssertionError):
        tables.test_lengths_do_not_compete_in_table_4()
