"""Would we notice? Witnesses and training runs that were made careless, and what catches them."""

from collections.abc import Sequence
from typing import Any

import pytest

from needlework.analysis import likelihoods
from needlework.analysis import training_runs as recipes
from needlework.paper import second_witness
from needlework.statistics import training_runs
from needlework.statistics.contrasts import Interval
from tests.unit.analysis import test_likelihoods, test_training_runs
from tests.unit.paper import test_second_witness
from tests.unit.statistics import test_training_runs as test_runs


def test_a_witness_that_takes_guesses_for_knowledge_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(second_witness, "above_chance", lambda share, _: share)
    with pytest.raises(AssertionError):
        test_second_witness.test_who_guesses_shows_nothing_and_who_knows_all_shows_all(
            test_second_witness.guesses, 0.0
        )


def test_a_mean_over_tasks_without_wrong_values_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Needles alone are compared; fewer of them are another mean."""
    monkeypatch.setattr(second_witness, "TASKS", second_witness.TASKS[:3])
    with pytest.raises(AssertionError):
        test_second_witness.test_it_is_the_definition_summed_slowly()


@pytest.mark.parametrize("careless", ["_quantile", "_over_runs"])
def test_an_interval_that_forgets_the_seeds_is_caught(
    careless: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three runs as if they were many; and their spread left out, as if all were the first one."""
    whole = training_runs._over_runs

    def one_run(found: Interval, groups: Sequence[Sequence[Any]]) -> training_runs.OverRuns:
        return whole(found, [[group[0]] * len(group) for group in groups])

    instead = {"_quantile": lambda _: 1.96, "_over_runs": one_run}
    monkeypatch.setattr(training_runs, careless, instead[careless])
    with pytest.raises(AssertionError):
        test_runs.test_the_variance_is_that_of_questions_and_that_of_runs_in_sum()


def test_recipes_that_are_not_corrected_together_are_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recipes, "holm", list)
    with pytest.raises(AssertionError):
        test_training_runs.test_all_pairs_and_lengths_are_corrected_together()


def test_a_change_of_margins_without_width_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def certain(values: Sequence[float], _: object) -> Interval:
        return Interval(*[sum(values) / len(values)] * 3)

    monkeypatch.setattr(likelihoods, "clustered_mean", certain)
    with pytest.raises(AssertionError):
        test_likelihoods.test_the_change_of_a_margin_is_that_of_pairs()
    with pytest.raises(AssertionError):
        test_likelihoods.test_a_level_margin_and_a_guess_are_rarely_told()
