"""Means over training runs, against their sums written out, and their coverage by simulation."""

from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from needlework.statistics.contrasts import Resampled
from needlework.statistics.resampling import Questions
from needlework.statistics.training_runs import difference_over_runs, mean_over_runs

RUNS, QUESTIONS = 3, 120
STUDIES = 200
CHANCE = 3 * sqrt(0.95 * 0.05 / STUDIES)


DRAWN = Questions(seed=0)
"""Draws of questions take a while, and may be the same in every simulated study."""


def resampled(scores_SQ: NDArray[np.float64], *, seed: int, name: str) -> list[Resampled]:
    """Every run's mean over the same questions, drawn together."""
    return [
        DRAWN.mean("one", scores.tolist(), address=(name, seed, run))
        for run, scores in enumerate(scores_SQ)
    ]


def answers(generator: np.random.Generator, *, skill: float, spread: float) -> NDArray[np.float64]:
    """Right and wrong, (S, Q): questions are hard or easy for every run, runs good or bad."""
    ease_Q = generator.normal(0, 0.8, QUESTIONS)
    runs_S1 = generator.normal(0, spread, (RUNS, 1))
    chance_SQ = 1 / (1 + np.exp(-(skill + ease_Q + runs_S1)))
    return (generator.random((RUNS, QUESTIONS)) < chance_SQ).astype(np.float64)


def expected(*, skill: float, spread: float) -> float:
    """The mean over all questions and all trainings there could be."""
    draws = np.random.default_rng(0).normal(0, sqrt(0.8**2 + spread**2), 400_000)
    return float((1 / (1 + np.exp(-(skill + draws)))).mean())


def test_the_variance_is_that_of_questions_and_that_of_runs_in_sum() -> None:
    scores_SQ = answers(np.random.default_rng(1), skill=0.5, spread=0.1)
    runs = resampled(scores_SQ, seed=1, name="a")
    found = mean_over_runs(runs)
    questions = float(np.mean([run.draws for run in runs], axis=0).var(ddof=1))
    means = scores_SQ.mean(axis=1)
    between = sum((mean - means.mean()) ** 2 for mean in means) / (RUNS - 1) / RUNS
    freedom = (questions + between) ** 2 / (between**2 / (RUNS - 1))
    reach = stats.t.ppf(0.975, freedom) * sqrt(questions + between)
    assert found.interval.value == pytest.approx(scores_SQ.mean())
    assert found.interval.high - found.interval.value == pytest.approx(reach)
    assert found.interval.value - found.interval.low == pytest.approx(reach)


def test_a_p_value_is_5_percent_where_the_interval_ends_at_zero() -> None:
    first = answers(np.random.default_rng(2), skill=0.5, spread=0.3)
    second = answers(np.random.default_rng(3), skill=0.2, spread=0.3)
    found = difference_over_runs(
        resampled(first, seed=2, name="a"), resampled(second, seed=2, name="b")
    )
    assert found.interval.value == pytest.approx(first.mean() - second.mean())
    assert (found.p_value < 0.05) == (found.interval.low > 0 or found.interval.high < 0)


def test_runs_that_are_equal_leave_the_questions() -> None:
    scores_SQ = np.repeat(answers(np.random.default_rng(4), skill=0.5, spread=0)[:1], RUNS, axis=0)
    questions = Questions(seed=4)
    runs = [questions.mean("one", scores.tolist(), address=("same",)) for scores in scores_SQ]
    found = mean_over_runs(runs)
    reach = 1.96 * float(runs[0].draws.std(ddof=1))
    assert found.interval.high - found.interval.value == pytest.approx(reach, rel=1e-3)


def test_one_run_has_no_spread() -> None:
    scores_SQ = answers(np.random.default_rng(5), skill=0.5, spread=0)
    runs = resampled(scores_SQ, seed=5, name="a")
    with pytest.raises(ValueError, match="fewer than 2 training runs"):
        mean_over_runs(runs[:1])
    with pytest.raises(ValueError, match="fewer than 2 training runs"):
        difference_over_runs(runs, runs[:1])


@pytest.mark.parametrize("spread", [0.0, 0.2, 0.8])
def test_intervals_cover_the_mean_over_all_trainings(spread: float) -> None:
    """Of so many studies chance takes 3 standard errors off 95 %."""
    truth, covered, studies = expected(skill=0.7, spread=spread), 0, STUDIES
    for study in range(studies):
        scores_SQ = answers(np.random.default_rng([7, study]), skill=0.7, spread=spread)
        found = mean_over_runs(resampled(scores_SQ, seed=study, name="a")).interval
        covered += found.low <= truth <= found.high
    assert covered / studies >= 0.95 - CHANCE


@pytest.mark.parametrize("spread", [0.0, 0.8])
def test_recipes_of_equal_skill_are_rarely_told_apart(spread: float) -> None:
    wrong, studies = 0, STUDIES
    for study in range(studies):
        first, second = (
            answers(np.random.default_rng([study, side]), skill=0.7, spread=spread)
            for side in (0, 1)
        )
        found = difference_over_runs(
            resampled(first, seed=study, name="a"), resampled(second, seed=study, name="b")
        )
        wrong += found.p_value < 0.05
    assert wrong / studies <= 0.05 + CHANCE
