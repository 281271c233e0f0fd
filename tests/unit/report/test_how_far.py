"""The sentences that say how far models read."""

from needlework.report.how_far import how_far, of_tasks
from needlework.scores.estimates import Scores
from tests.study_for_tests import estimates, right, scores_of, small_plan

PLAN = small_plan()
FIRST = PLAN.shown()[0]


def said(hits: dict[int, int]) -> str:
    """Of a model that answers so many of ten at these lengths."""
    scores = scores_of(PLAN, lambda model, task, length: right(hits.get(length, 0)))
    return next(how_far(scores, PLAN.shown(), "ruler")).sentence


def test_a_model_that_keeps_all_reads_at_least_to_the_longest() -> None:
    told = said(dict.fromkeys(PLAN.grid().suites["ruler"].lengths, 10))
    expected = "reads reliably to at least 256 of its 256 tokens; at 256 it keeps 100 % ["
    assert told.startswith(expected)


def test_a_model_that_falls_is_told_where_and_what_is_left_at_the_end() -> None:
    lengths = PLAN.grid().suites["ruler"].lengths
    told = said({each: 10 if each < 256 else 2 for each in lengths})
    assert told.startswith("reads reliably to 128 of its 256 tokens; at 256 it keeps 20 % [")
    assert f"; at {max(lengths)} it keeps 20 % [" in told


def test_too_few_samples_are_said() -> None:
    lengths = PLAN.grid().suites["ruler"].lengths
    told = said({each: 10 if each < 256 else 9 for each in lengths})
    assert "too few samples to tell on which side of the bar" in told


def test_a_model_that_scores_nothing_keeps_nothing() -> None:
    told = said(dict.fromkeys(PLAN.grid().suites["ruler"].lengths, 0))
    assert told == "scores 0 at 128 tokens, so there is nothing that it could keep."


def test_nothing_is_said_without_the_shortest_length() -> None:
    gone = (FIRST.name, "ruler", 128)
    cells = [c for c in estimates(PLAN) if (c.model, c.suite, c.length) != gone]
    found = list(how_far(Scores(cells, PLAN.grid()), PLAN.shown(), "ruler"))
    assert [each.model.name for each in found] == [PLAN.shown()[1].name]


def test_needles_at_fixed_depths_say_nothing_of_it() -> None:
    assert of_tasks(PLAN.grid()) == ["ruler"]
