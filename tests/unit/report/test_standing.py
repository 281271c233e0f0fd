"""Standing: the best of a column, and what no test tells from it."""

import random

import polars as pl
import pytest

from needlework.analysis.comparisons import holm, interval_test, sign_flip_test
from needlework.report.layout import Source, Table, build
from needlework.report.standing import Samples, mark
from needlework.scores.cells import SCORES
from needlework.scores.estimates import Scores
from needlework.statistics.contrasts import difference, interval
from needlework.statistics.means import Estimate, estimate
from needlework.study.shown import ShownModel
from tests.study_for_tests import (
    estimates,
    right,
    score_rows,
    scores_of,
    small_plan,
    table_of,
)

PLAN = small_plan()
FIRST, SECOND = PLAN.shown()
NOTHING = Samples(pl.DataFrame(schema=SCORES), PLAN.grid())


Answers = dict[str, list[float | None]]


def some(count: int, of: int) -> list[float | None]:
    """The first `count` right, the others wrong."""
    return [float(place < count) for place in range(of)]


def last(count: int, of: int) -> list[float | None]:
    """The last `count` right, the others wrong."""
    return some(count, of)[::-1]


def measured(
    answers: Answers,
    *,
    number: int = 6,
    models: tuple[ShownModel, ...] = (FIRST, SECOND),
) -> Table:
    """A table in which every cell of a model holds the same answers."""
    cells = estimates(PLAN, lambda model, task, length: estimate(answers[model]))
    rows = pl.concat([score_rows(cell, answers[cell.model]) for cell in cells])
    table = build(table_of(PLAN, number), Scores(cells, PLAN.grid()), models)
    return mark(table, Samples(rows, PLAN.grid()))


def three(*answers: list[float | None]) -> Table:
    """A table of three models in which every cell of each holds the same answers."""
    plan = small_plan(models=["nano-mamba2", "nano-llama", "nano-rwkv6"])
    known = dict(zip(plan.models, answers, strict=True))
    cells = estimates(plan, lambda model, task, length: estimate(known[model]))
    rows = pl.concat([score_rows(cell, known[cell.model]) for cell in cells])
    table = build(table_of(plan, 6), Scores(cells, plan.grid()), plan.shown())
    return mark(table, Samples(rows, plan.grid()))


def bold(found: Table) -> list[list[bool]]:
    return [[entry.best for entry in row.entries] for row in found.rows]


def told_apart(number: int, score: object) -> Table:
    """A table whose models answered different samples."""
    other = SECOND.model_copy(update={"wrapper": "chat"})
    return mark(build(table_of(PLAN, number), scores_of(PLAN, score), (FIRST, other)), NOTHING)  # type: ignore[arg-type]


def test_where_nobody_is_worse_nobody_is_bold() -> None:
    """A whole table was once bold: all of it within chance of its best."""
    half = some(5, 10)
    assert bold(measured({FIRST.name: half, SECOND.name: half})) == [[False] * 3, [False] * 3]
    close = measured({FIRST.name: some(9, 10), SECOND.name: some(7, 10)})
    assert bold(close) == [[False] * 3, [False] * 3]
    assert close.rows[1].entries[0].p_value == 0.5


def test_what_prints_alike_is_equally_good() -> None:
    assert bold(three(some(9, 10), last(9, 10), last(0, 10))) == [[True] * 3] * 2 + [[False] * 3]


def test_a_clear_loser_is_not_bold() -> None:
    answers: Answers = {
        FIRST.name: some(9, 10),
        SECOND.name: last(1, 10),
    }
    found = measured(answers)
    assert bold(found) == [[True] * 3, [False] * 3]
    assert found.rows[1].entries[0].test == "paired"


def test_a_number_that_no_test_tells_from_the_best_is_bold() -> None:
    """Nine and seven of ten, on the same samples: the two that differ prove nothing."""
    found = three(some(9, 10), some(7, 10), last(0, 10))
    assert bold(found) == [[True] * 3, [True] * 3, [False] * 3]
    assert found.rows[1].entries[0].p_value == 0.5


def test_pairs_see_what_intervals_do_not() -> None:
    """Ten of 60 questions more, the others alike: intervals overlap, pairs tell."""
    answers: Answers = {
        FIRST.name: some(40, 60),
        SECOND.name: some(30, 60),
    }
    assert bold(measured(answers)) == [[True] * 3, [False] * 3]
    other = SECOND.model_copy(update={"wrapper": "chat"})
    apart = measured(answers, models=(FIRST, other))
    assert bold(apart) == [[False] * 3, [False] * 3]
    assert apart.rows[1].entries[0].test == "apart"


def test_failed_samples_are_pairs_too() -> None:
    failed: Answers = {FIRST.name: some(10, 10), SECOND.name: [None] * 9 + [1]}
    assert bold(measured(failed)) == [[True] * 3, [False] * 3]


def test_zero_is_no_merit() -> None:
    found = told_apart(6, lambda model, task, length: right(0))
    assert not any(any(row) for row in bold(found))


def test_zero_is_not_bold_even_where_no_test_tells_it_from_the_best() -> None:
    found = told_apart(6, lambda model, task, length: right(1 if model == FIRST.name else 0))
    assert bold(found) == [[True] * 3, [False] * 3]


def test_lengths_do_not_compete_in_table_4() -> None:
    """The best at 512 is marked although everything is better at 128."""

    def score(model: str, task: str, length: int) -> Estimate:
        best = 90 if length == 128 else 30
        return right(best if model == FIRST.name else 0, of=100)

    found = told_apart(4, score)
    assert bold(found) == [[row.model == FIRST] * 9 for row in found.rows]


def test_samples_that_share_a_needle_are_one_question() -> None:
    """Three formats with the same ten needles are ten pairs, not thirty."""
    answers: Answers = {FIRST.name: some(10, 10), SECOND.name: last(5, 10)}
    found = measured(answers, number=2)
    entry = found.rows[1].entries[0]
    assert entry.p_value == pytest.approx(2 * 0.5**5)
    assert NOTHING.totals(FIRST, [Source("depth", "niah_essay_numbers_0", 256)]) == []


def test_an_average_over_lengths_is_compared_question_by_question() -> None:
    answers: Answers = {
        FIRST.name: some(10, 10),
        SECOND.name: last(4, 10),
    }
    average = measured(answers).rows[1].entries[-1]
    assert average.p_value == pytest.approx(sign_flip_test([2.0] * 6, [0.0] * 6))


def test_all_rivals_of_a_column_are_corrected_together() -> None:
    found = three(some(10, 10), last(4, 10), last(3, 10))
    wanted = holm([2 * 0.5**6, 2 * 0.5**7])
    assert [row.entries[0].p_value for row in found.rows[1:]] == pytest.approx(wanted)


def test_what_stands_alone_is_not_the_best() -> None:
    cells = [c for c in estimates(PLAN) if (c.model, c.suite) != (FIRST.name, "ruler")]
    found = mark(build(table_of(PLAN, 6), Scores(cells, PLAN.grid()), (FIRST, SECOND)), NOTHING)
    assert bold(found) == [[False] * 3, [False] * 3]


def test_equal_models_are_told_apart_as_rarely_as_stated() -> None:
    """Four equal models: in 95 of 100 columns no one is worse and no one bold, whoever is first."""
    draws = random.Random(5)
    plan = small_plan(models=["nano-mamba2", "nano-llama", "nano-rwkv6", "nano-griffin"])
    suites = {"ruler": {"lengths": [128]}, "depth": {"lengths": [256, 512]}}
    plan = small_plan(models=list(plan.models), suites=suites)
    wrong = 0
    for _ in range(120):
        answers: Answers = {
            name: [float(draws.random() < 0.6) for _ in range(60)] for name in plan.models
        }
        known = {name: estimate(scores) for name, scores in answers.items()}
        cells = estimates(plan, lambda model, task, length, known=known: known[model])  # type: ignore[misc]
        own = [cell for cell in cells if cell.task == "niah_single_1"]
        rows = pl.concat([score_rows(cell, answers[cell.model]) for cell in own])
        table = build(table_of(plan, 6), Scores(cells, plan.grid()), plan.shown())
        found = mark(table, Samples(rows, plan.grid()))
        wrong += any(row.entries[0].best for row in found.rows)
    assert wrong / 120 <= 0.12


def test_an_interval_that_just_reaches_zero_has_five_percent() -> None:
    one, other = estimate(some(60, 100)), estimate(some(47, 100))
    gap = difference(interval(one), interval(other))
    assert (interval_test(gap) < 0.05) == (gap.low > 0)
    assert interval_test(gap._replace(low=0.0)) == pytest.approx(0.05)
    assert interval_test(gap._replace(value=0.0)) == 1.0


def test_the_interval_test_rejects_equality_as_rarely_as_stated() -> None:
    draws = random.Random(6)
    wrong = 0
    for _ in range(1000):
        sides = [estimate([float(draws.random() < 0.7) for _ in range(100)]) for _ in range(2)]
        wrong += interval_test(difference(*map(interval, sides))) < 0.05
    assert 0.02 <= wrong / 1000 <= 0.07
