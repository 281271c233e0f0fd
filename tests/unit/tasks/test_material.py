"""Material: draws that differ, and units that are made once."""

import itertools

import pytest

from needlework.errors import StudyError
from needlework.tasks.material import Growing, distinct
from tests.tasks_for_tests import item


def test_distinct_draws_differ_and_avoid_what_is_taken() -> None:
    found = distinct(lambda draws: draws.choice("abcd"), item().stream(), 3, without="a")
    assert sorted(found) == ["b", "c", "d"]


def test_too_few_words_is_an_error_and_not_a_hang() -> None:
    with pytest.raises(StudyError, match=r"asks for 3 different words .* only 2"):
        distinct(lambda draws: draws.choice("ab"), item().stream(), 3)


def test_growing_units_never_change() -> None:
    units = Growing(map(str, itertools.count()))
    assert units.first(2) == ["0", "1"]
    assert units.first(4)[:2] == ["0", "1"]
    assert units.first(1) == ["0"]


def test_growing_ends_where_there_is_no_more() -> None:
    assert Growing("ab").first(5) == ["a", "b"]


def test_items_draw_from_streams_of_their_own() -> None:
    assert item(0).stream("keys").random() != item(1).stream("keys").random()


def test_items_share_what_a_dataset_draws_once() -> None:
    assert item(0).common_stream("example").random() == item(1).common_stream("example").random()
