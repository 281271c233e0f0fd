"""Needles in a haystack: what is hidden, asked and answered."""

import pytest

from needlework.errors import StudyError
from needlework.nano import language
from needlework.tasks import niah
from needlework.tasks.drafts import Draft
from needlework.tasks.specs import NiahSpec
from tests.tasks_for_tests import item


def draft(size: int = 10, **parameters: object) -> Draft:
    spec = NiahSpec.model_validate({"haystack": "essay"} | parameters)
    return niah.plan(spec, language.material(), item()).compose(size)


def said(made: Draft) -> list[list[str]]:
    return [made.text[each.start : each.end].split() for each in made.needles]


def test_one_key_is_asked_for_by_name() -> None:
    made = draft()
    ((*_, key, value, _),) = said(made)
    assert made.text.endswith(f"what is the magic number ? the magic number of {key}")
    assert made.outputs == (value,)


def test_needles_nobody_asks_for_are_marked() -> None:
    made = draft(keys=4)
    assert sorted(needle.answer for needle in made.needles) == [False, False, False, True]


def test_several_values_of_a_key_are_all_asked_for() -> None:
    made = draft(values=4)
    assert {words[4] for words in said(made)} == {said(made)[0][4]}
    assert sorted(made.outputs) == sorted(words[5] for words in said(made))


def test_several_queries_ask_in_the_order_of_the_question() -> None:
    made = draft(keys=4, queries=3)
    values = {words[4]: words[5] for words in said(made)}
    _, _, question = made.text.partition(" what are the magic number of ")
    asked = question.partition(" ?")[0].split()
    assert made.outputs == tuple(values[key] for key in asked)


def test_the_completion_says_every_key_and_value() -> None:
    """Models are trained on it: values in text order, each behind its key as in the needle."""
    made = draft(values=3)
    key = said(made)[0][4]
    in_order = f" {key} ".join(words[5] for words in said(made))
    assert made.completion == f" {in_order} ."


def test_codes_are_three_letters_for_keys_and_values() -> None:
    made = draft(key_kind="uuids", value_kind="uuids")
    ((*before, a, b, c, _),) = said(made)
    assert before[:4] == ["the", "magic", "code", "of"]
    assert len(before) == 7
    assert made.outputs == (f"{a} {b} {c}",)


def test_distractors_have_neither_the_key_nor_the_value() -> None:
    made = draft(size=200, haystack="needle")
    (_, _, _, _, key, value, _), words = said(made)[0], made.text.split()
    assert words.count(key) == 2
    assert words.count(value) == 1


def test_growing_hay_keeps_the_hay_there_was() -> None:
    short, long = (draft(size=size, haystack="needle", depth=100) for size in (5, 9))
    assert long.text.startswith(short.text[: short.needles[0].start])


def test_more_keys_than_words_is_an_error() -> None:
    with pytest.raises(StudyError, match="the material has only 64"):
        draft(keys=65)
