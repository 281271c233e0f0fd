"""Would the laws of scores notice? Each scorer below is broken in one way a benchmark was."""

from collections.abc import Sequence
from dataclasses import replace
from math import hypot
from pathlib import Path

import pytest

from needlework.paper import agreement
from needlework.report import layout, standing
from needlework.scores.estimates import Scores
from needlework.statistics import means
from needlework.statistics.means import Estimate
from needlework.study.shown import ShownModel
from tests.laws import test_statistics as laws
from tests.unit.paper import test_agreement as verdicts
from tests.unit.paper import test_comparison_page as comparisons
from tests.unit.report import test_layout as tables
from tests.unit.report import test_standing as marks

honest = means.estimate


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


def test_tasks_whose_intervals_add_in_quadrature_are_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where all tasks lie near 100 % the sum of squares forgets how skewed their intervals are."""

    def quadrature(parts: Sequence[Estimate], *, independent: bool) -> Estimate:
        found = means.macro_mean(parts, independent=independent)
        below, above = (
            hypot(*distances) / len(parts)
            for distances in (
                [part.mean - part.low for part in parts],
                [part.high - part.mean for part in parts],
            )
        )
        return found.model_copy(update={"low": found.mean - below, "high": found.mean + above})

    monkeypatch.setattr(laws, "macro_mean", quadrature)
    with pytest.raises(AssertionError):
        laws.test_19_of_20_averages_over_tasks_hold_the_truth(truths=[0.99] * 13, samples=50)


def test_a_mean_over_fewer_tasks_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that averages what happens to be there changes its meaning silently."""

    def lenient(
        self: Scores, model: ShownModel, suite: str, tasks: tuple[str, ...], length: int
    ) -> Estimate:
        there = [task for task in tasks if (model.name, suite, task, length) in self._by_key]
        parts = [self.estimate(model, suite, task, length) for task in there]
        return means.macro_mean(parts, independent=True)

    monkeypatch.setattr(Scores, "mean", lenient)
    with pytest.raises(AssertionError):
        tables.test_a_mean_over_fewer_tasks_is_no_mean()


def test_a_best_mark_across_lengths_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """At twice the training length something is best, too."""

    def without_rivals(*arguments: object) -> layout.Table:
        made = layout.build(*arguments)  # type: ignore[arg-type]
        return replace(made, rows=tuple(replace(row, rivals="") for row in made.rows))

    monkeypatch.setattr(marks, "build", without_rivals)
    with pytest.raises(AssertionError):
        marks.test_lengths_do_not_compete_in_table_4()


def test_bold_for_the_highest_alone_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sample more is no better model."""
    monkeypatch.setattr(standing, "sign_flip_test", lambda first, second: 0.0)
    with pytest.raises(AssertionError):
        marks.test_a_number_that_no_test_tells_from_the_best_is_bold()


def test_bold_for_everything_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "sign_flip_test", lambda first, second: 1.0)
    with pytest.raises(AssertionError):
        marks.test_a_clear_loser_is_not_bold()


def test_ties_that_ignore_the_pairs_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "_same_prompts", lambda one, other: False)
    with pytest.raises(AssertionError):
        marks.test_pairs_see_what_intervals_do_not()


def test_rivals_that_are_not_corrected_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "holm", list)
    with pytest.raises(AssertionError):
        marks.test_all_rivals_of_a_column_are_corrected_together()


def test_a_verdict_without_our_own_uncertainty_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours inside the published interval is another question than whether both agree."""

    def careless(one: agreement.Agreement) -> bool:
        return one.published.low <= one.ours.mean <= one.published.high

    monkeypatch.setattr(agreement.Agreement, "is_inside", property(careless))
    with pytest.raises(AssertionError):
        verdicts.test_inside_means_within_both_intervals_together()


def test_a_verdict_that_is_always_inside_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agreement.Agreement, "is_inside", property(lambda one: True))
    with pytest.raises(AssertionError):
        comparisons.test_a_difference_beyond_chance_is_outside(tmp_path)
