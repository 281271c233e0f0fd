"""Scoring: RULER's containment, ignoring case, after its clean-up of the answer."""

import pytest

from needlework.tasks.metrics import Metric, clean, is_decided, score
from tests.tasks_for_tests import NANO


def test_white_space_and_control_characters_are_cleaned() -> None:
    """RULER strips, writes control characters as newlines and strips again."""
    assert clean(" \x00one\ttwo\x1f \n") == "one\ntwo"


def test_case_does_not_count() -> None:
    assert score("The ANSWER", ["answer"], metric="all") == 1.0


def test_all_gives_partial_credit() -> None:
    assert score("1 and 2", ["1", "2", "3", "4"], metric="all") == 0.5


def test_any_takes_one_spelling() -> None:
    assert score("Paris, France", ["Lyon", "paris"], metric="any") == 1.0


def test_any_without_a_match_is_zero() -> None:
    assert score("Nice", ["Lyon", "Paris"], metric="any") == 0.0


def test_an_answer_inside_a_word_counts() -> None:
    """RULER has no word boundaries; hazard 26 of the register, kept on purpose."""
    assert score("handbook", ["book"], metric="all") == 1.0


def test_a_reference_cut_by_a_control_character_is_lost() -> None:
    assert score("12\x0034", ["1234"], metric="all") == 0.0


def test_only_questions_take_any() -> None:
    assert {name: spec.metric for name, spec in NANO.items() if spec.metric != "all"} == {
        "qa_1": "any",
        "qa_2": "any",
    }


def test_exact_takes_the_whole_answer_in_the_words_of_squad() -> None:
    assert score(" The Eiffel-Tower.\n", ["Paris", "eiffeltower"], metric="exact") == 1.0
    assert score("The Eiffel Tower, Paris", ["Eiffel Tower"], metric="exact") == 0.0


def test_f1_counts_the_words_that_an_answer_shares_with_its_best_reference() -> None:
    """Two of three found, two of four wanted: 2 * 2 / 7; of the other reference none."""
    found = score("in the old town", ["nowhere", "old town of Basel"], metric="f1")
    assert found == pytest.approx(4 / 7)
    assert score("town town town", ["town"], metric="f1") == pytest.approx(2 / 4)
    assert score("elsewhere", ["town"], metric="f1") == 0.0


@pytest.mark.parametrize("metric", ["exact", "f1"])
def test_what_looks_at_the_whole_answer_is_decided_at_its_end_alone(metric: Metric) -> None:
    """The next word would change the score."""
    assert score("Basel", ["Basel"], metric=metric) == 1.0
    assert not is_decided("Basel", ["Basel"], metric=metric)


def test_a_found_answer_is_decided() -> None:
    assert is_decided("so: 7 and 9", ["7", "9"], metric="all")


def test_a_half_found_answer_is_not() -> None:
    assert not is_decided("so: 7", ["7", "9"], metric="all")


def test_empty_answers_score_zero() -> None:
    assert score("", ["7"], metric="all") == 0.0
