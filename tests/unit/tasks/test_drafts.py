"""Drafts: needles come to lie where they should, and every offset is right."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from needlework.nano import language
from needlework.tasks import drafts
from needlework.tasks.drafts import Insert
from needlework.tasks.prompts import Frame, Wrapper


@given(
    units=st.lists(st.sampled_from(["a b .", "c .", "d"]), max_size=8),
    places=st.lists(st.integers(0, 8), max_size=5),
)
def test_spans_hold_the_needles_in_text_order(units: list[str], places: list[int]) -> None:
    inserts = [
        Insert(min(place, len(units)), f"needle{each}", True) for each, place in enumerate(places)
    ]
    body = drafts.weave(units, inserts, separator=" ")
    ordered = sorted(inserts, key=lambda insert: insert.position)
    assert [body.text[each.start : each.end] for each in body.needles] == [
        insert.text for insert in ordered
    ]


@given(
    units=st.lists(st.sampled_from(["a b .", "c .", "d"]), max_size=8),
    places=st.lists(st.integers(0, 8), max_size=5),
)
def test_the_text_is_all_hay_and_all_needles_in_order(units: list[str], places: list[int]) -> None:
    positions = sorted(min(place, len(units)) for place in places)
    body = drafts.weave(units, [Insert(each, "N", True) for each in positions], separator="|")
    expected = list(units)
    for position in reversed(positions):
        expected.insert(position, "N")
    assert body.text == "|".join(expected)


def test_depth_is_the_share_of_hay_before_the_needle() -> None:
    body = drafts.weave(["a", "b", "c", "d"], [Insert(1, "N", True)], separator=" ")
    assert body.needles[0].depth == 25


@pytest.mark.parametrize(("percent", "position"), [(0, 0), (20, 2), (50, 5), (96, 10), (100, 10)])
def test_a_depth_is_rounded_to_the_nearest_place(percent: int, position: int) -> None:
    assert drafts.at_depth(percent, 10) == position


def test_fractions_reach_both_ends() -> None:
    assert drafts.scatter([0.0, 0.5, 0.999], 10) == [0, 5, 10]


def test_a_wrapper_and_an_example_move_the_spans() -> None:
    material = replace(language.material(), wrapper=Wrapper("<user>", "<model>"))
    frame = Frame(head="head ", question=" why ?", prefix=" because", between="", end="")
    body = drafts.weave(["hay"], [Insert(0, "needle", True)], separator=" ")
    draft = drafts.finish(material, frame, body, outputs=["x"], completion=" x", example="example ")
    needle = draft.needles[0]
    assert draft.text == "<user>example head needle hay why ?<model> because"
    assert draft.text[needle.start : needle.end] == "needle"
    assert draft.text[draft.question_start :] == " why ?<model> because"
