"""Specs: closed, and checked against themselves."""

import pytest
from pydantic import ValidationError

from needlework.errors import StudyError
from needlework.parsing import parse
from needlework.tasks.specs import CommonWordsSpec, NiahSpec, Spec
from tests.tasks_for_tests import DEPTH, DEPTHS, ENGLISH, FORMATS, NANO, RULER


def test_a_key_nobody_knows_is_refused() -> None:
    with pytest.raises(ValidationError, match="haystacks"):
        NiahSpec.model_validate({"haystack": "essay", "haystacks": "essay"})


def test_more_queries_than_keys_are_refused() -> None:
    with pytest.raises(ValidationError, match="raise keys or lower queries"):
        NiahSpec(haystack="essay", keys=2, queries=3)


def test_common_words_must_be_more_common() -> None:
    with pytest.raises(ValidationError, match="must exceed"):
        CommonWordsSpec(common_repeats=3, uncommon_repeats=3)


def test_a_generator_nobody_knows_is_named_with_those_there_are() -> None:
    with pytest.raises(StudyError) as caught:
        parse(Spec, {"generator": "needles"}, where="tasks.yaml")  # type: ignore[arg-type]
    assert "'needles'" in str(caught.value)
    assert "'niah'" in str(caught.value)
    assert "FILE.py:FUNCTION" in str(caught.value)


def test_what_has_to_be_fetched_for_a_task_is_said_by_it() -> None:
    needs = {name: spec.needs for name, spec in ENGLISH.items() if spec.needs}
    assert needs["niah_single_2"] == ("essays",)
    assert needs["qa_2"] == ("hotpotqa",)
    assert "niah_single_1" not in needs
    assert {name for name in needs if not name.startswith("niah")} == {"qa_1", "qa_2"}


def test_both_materials_have_the_same_tasks() -> None:
    assert list(NANO) == list(ENGLISH)
    assert len(RULER) == 13


def test_the_depth_suite_is_every_format_at_every_depth() -> None:
    assert set(DEPTH) == {f"{form}_{depth}" for form in FORMATS for depth in DEPTHS}


def test_a_depth_task_hides_its_needle_where_its_name_says() -> None:
    """In the artifact's table of tasks a name and its parameters disagree (hazard H4)."""
    for name, spec in (DEPTH | ENGLISH).items():
        form, _, depth = name.rpartition("_")
        if form in FORMATS:
            assert isinstance(spec, NiahSpec)
            assert spec.depth == int(depth)
            assert spec.haystack in form
            assert spec.value_kind in form
