"""Scores beside controls: against slow definitions, and what a verdict is worth by simulation."""

from collections.abc import Callable
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import polars as pl
import pytest

from needlework.analysis.comparisons import holm
from needlework.analysis.controls import ALL, SLIGHT, Beyond, Controlled, controlled, groups
from needlework.rng import stream
from needlework.scores.cells import SCORES
from needlework.study.grid import Cell
from needlework.study.plan import Plan
from needlework.tasks.controls import CONTROLS
from tests.study_for_tests import small_plan

TASKS = ["niah_single_1", "niah_multikey_1", "vt", "cwe"]
Score = Callable[[Cell, str, int], float | None]


def asked(**changed: Any) -> Plan:
    """Four tasks within and beyond the training length of 256."""
    suites = {"mine": {"tasks": TASKS, "lengths": [256, 512, 1024]}}
    keys = {"controls": list(CONTROLS), "suites": suites, "models": ["nano-llama"]}
    return small_plan(**{"samples": 12, **keys, **changed})


def rows(study: Plan, score: Score, *, without: tuple[str, ...] = ()) -> pl.DataFrame:
    """The scores of every cell of a study and of its controls; `score` says which."""
    found = [
        dict.fromkeys(SCORES, None)
        | {**cell._asdict(), "task": task, "index": index, "score": score(cell, task, index)}
        for cell in study.cells()
        if cell.place not in without
        for task in study.tasks_of(cell)
        for index in range(study.study.samples)
    ]
    return pl.DataFrame(found, schema=SCORES)


def compared(study: Plan, frame: pl.DataFrame) -> list[Controlled]:
    return controlled(
        frame,
        grid=study.grid(),
        models=study.shown(),
        asked=study.study.controls,
        cells=study.controls,
        seed=study.study.seed,
    )


def drawn(cell: Cell, task: str, index: int) -> float:
    """Scores that differ by run: the full prompt is answered best, guessing fails."""
    chance = {"truncated": 0.4, "no-haystack": 0.95, "no-needle": 0.05}
    right = chance.get(cell.model.partition("+")[2], 0.8)
    draws = stream(7, cell.model, task, cell.length, index)
    return float(draws.random() < right)


STUDY = asked()
ROWS = rows(STUDY, drawn)
FOUND = compared(STUDY, ROWS)


def line(length: int, group: str = ALL, found: list[Controlled] = FOUND) -> Controlled:
    (one,) = [each for each in found if (each.length, each.group) == (length, group)]
    return one


def scores_of(run: str, length: int, tasks: list[str], frame: pl.DataFrame = ROWS) -> np.ndarray:
    """The scores of a run, one row a task."""
    own = frame.filter(pl.col("model") == run, pl.col("length") == length)
    return np.array(
        [own.filter(pl.col("task") == task).sort("index")["score"].fill_null(0) for task in tasks]
    )


def beyond(one: Controlled) -> Beyond:
    assert one.beyond is not None
    return one.beyond


def test_lines_are_those_of_groups_that_are_no_suite() -> None:
    assert groups(TASKS) == {
        ALL: TASKS,
        "retrieval": TASKS[:2],
        "tracing": ["vt"],
        "aggregation": ["cwe"],
    }
    assert list(groups(["vt"])) == [ALL]
    assert [(each.length, each.group) for each in FOUND] == list(
        product((256, 512, 1024), groups(TASKS))
    )


@pytest.mark.parametrize("length", [512, 1024])
@pytest.mark.parametrize("group", list(groups(TASKS)))
def test_means_are_means_over_tasks(length: int, group: str) -> None:
    tasks, one = groups(TASKS)[group], line(length, group)
    own = scores_of("nano-llama", length, tasks)
    cut = scores_of("nano-llama+truncated", length, tasks)
    assert one.score.value == pytest.approx(own.mean())
    assert beyond(one).points.value == pytest.approx((own - cut).mean())
    told = {each.control: each for each in one.controls}
    assert told["truncated"].score is not None
    assert told["truncated"].score.value == pytest.approx(cut.mean())
    guessed = scores_of("nano-llama+no-needle", length, tasks)
    assert told["no-needle"].score is not None
    assert told["no-needle"].score.value == pytest.approx(guessed.mean())


def test_the_interval_is_that_of_a_bootstrap_of_questions() -> None:
    """Slowly: questions of each task drawn with replacement, both sides together."""
    one = line(512, "retrieval")
    own = scores_of("nano-llama", 512, TASKS[:2])
    cut = scores_of("nano-llama+truncated", 512, TASKS[:2])
    gaps = own - cut
    generator, count = np.random.default_rng(3), gaps.shape[1]
    means = []
    for _ in range(4000):
        sums = []
        for task in range(len(gaps)):
            # As intervals borrow two samples of each side, right or wrong by a fair coin.
            places = generator.integers(0, count + 2, count)
            real = places[places < count]
            coins = len(places) - len(real)
            borrowed = generator.binomial(coins, 0.5) - generator.binomial(coins, 0.5)
            shrunk = gaps[task].sum() / (count + 2)
            sums.append(gaps[task].mean() + (gaps[task][real].sum() + borrowed) / count - shrunk)
        means.append(np.mean(sums))
    low, high = np.quantile(means, [0.025, 0.975])
    found = beyond(one).points
    # The noise of 4,000 draws at a limit.
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.03)


def test_pairs_narrow_the_interval() -> None:
    """A copy that is right about where its model is: what both share is no uncertainty."""
    study = asked(controls=["truncated"], samples=40)

    def score(cell: Cell, task: str, index: int) -> float:
        draws = stream(5, task, cell.length, index)
        right = draws.random() < 0.5
        return float(right and (draws.random() < 0.9 or "+" not in cell.model))

    (one,) = [each for each in compared(study, rows(study, score)) if each.length == 1024][:1]
    cut = one.beside("truncated")
    assert cut
    assert cut.score
    apart = np.hypot(one.score.high - one.score.low, cut.score.high - cut.score.low)
    together = beyond(one).points
    assert together.high - together.low < 0.75 * apart


def test_tests_are_exact_and_corrected_together() -> None:
    """Slowly: every pattern of signs, for one line; all of them corrected at once by Holm."""
    lines = compared(STUDY, ROWS)
    one = line(1024, "tracing", lines)
    gaps = (
        scores_of("nano-llama", 1024, ["vt"]) - scores_of("nano-llama+truncated", 1024, ["vt"])
    ).ravel()
    observed = abs(gaps.sum())
    patterns = np.array(list(product((-1, 1), repeat=len(gaps))))
    exact = np.mean(np.abs(patterns @ gaps) >= observed)
    assert beyond(one).p_value == pytest.approx(exact, rel=1e-5)
    tested = [each.beyond for each in lines if each.beyond]
    assert len(tested) == 2 * len(groups(TASKS))
    wanted = holm([each.p_value for each in tested])
    assert [each.corrected for each in tested] == pytest.approx(wanted, rel=1e-5)


def test_within_the_training_length_the_prompts_are_the_same() -> None:
    """Its score stands there, no test: nothing was answered twice."""
    one = line(256)
    cut = one.beside("truncated")
    assert cut is not None
    assert (cut.state, cut.score, one.beyond) == ("same prompts", one.score, None)


def test_without_haystack_there_is_one_score_and_none_over_a_list() -> None:
    scores = [line(length, "retrieval").beside("no-haystack") for length in (256, 512, 1024)]
    assert len({each and each.score for each in scores}) == 1
    mean = scores_of("nano-llama+no-haystack", 1024, TASKS[:2]).mean()
    assert scores[0]
    assert scores[0].score
    assert scores[0].score.value == pytest.approx(mean)
    for group in ("aggregation", ALL):
        found = line(512, group).beside("no-haystack")
        assert found
        assert (found.state, found.score) == ("none", None)


def test_what_is_not_computed_is_told() -> None:
    missing = "nano-llama+truncated/mine/512"
    found = compared(STUDY, rows(STUDY, drawn, without=(missing,)))
    one = line(512, found=found)
    cut = one.beside("truncated")
    assert cut
    assert (cut.state, cut.score, one.beyond) == ("not computed", None, None)
    assert line(1024, found=found).beyond is not None


def test_a_study_says_only_what_it_asks_for() -> None:
    study = asked(controls=["no-needle"])
    for one in compared(study, rows(study, drawn)):
        assert [each.control for each in one.controls] == ["no-needle"]
        assert one.beyond is None


@cache
def two_tasks(samples: int) -> Plan:
    suites = {"mine": {"tasks": ["niah_single_1", "niah_single_2"], "lengths": [512, 1024]}}
    return asked(controls=["truncated"], samples=samples, suites=suites)


def judged(full: float, cut: float, *, samples: int, seed: int = 0) -> list[Beyond]:
    """The verdicts on a model that is right so often, and its truncated copy so often."""
    study = two_tasks(samples)

    def score(cell: Cell, task: str, index: int) -> float:
        draws = stream(seed, cell.model, task, cell.length, index)
        return float(draws.random() < (cut if cell.model.endswith("+truncated") else full))

    return [each.beyond for each in compared(study, rows(study, score)) if each.beyond]


def test_a_model_that_reads_on_is_told_from_one_that_does_not() -> None:
    assert {each.verdict for each in judged(0.9, 0.3, samples=60)} == {"yes"}
    assert {each.verdict for each in judged(0.1, 0.6, samples=60)} == {"no"}
    assert {each.verdict for each in judged(0.5, 0.5, samples=10)} == {"cannot be told"}


def test_equal_scores_of_many_samples_are_a_no() -> None:
    """Both answer nothing: no more than slightly apart, by an interval that has a width."""
    (first, *_) = judged(0.0, 0.0, samples=400)
    assert first.verdict == "no"
    assert 0 < first.points.high < SLIGHT
    assert {each.verdict for each in judged(0.0, 0.0, samples=20)} == {"cannot be told"}


def test_verdicts_keep_their_promise() -> None:
    """Of studies in which both copies are equally good, at most one in twenty says yes somewhere;
    and where the model is 8 points better, hardly one says no."""
    yes = sum(
        any(each.verdict == "yes" for each in judged(0.5, 0.5, samples=30, seed=seed))
        for seed in range(30)
    )
    # One in twenty of 30 is 1.5; more than 5 come by chance once in two hundred times.
    assert yes <= 5
    no = sum(
        any(each.verdict == "no" for each in judged(0.58, 0.5, samples=80, seed=seed))
        for seed in range(10)
    )
    assert no <= 2
