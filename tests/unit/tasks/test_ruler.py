"""RULER's words: where the fetched texts end up, and what is mended in them."""

import re
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from needlework.errors import ResourceError
from needlework.tasks import common_words, english, niah, variable_tracking
from needlework.tasks.drafts import Draft
from needlework.tasks.material import Material
from needlework.tasks.prompts import WRAPPERS, Wrapper
from needlework.tasks.specs import CommonWordsSpec, NiahSpec, VariableTrackingSpec
from tests.released_for_tests import Material as Reference
from tests.tasks_for_tests import ENGLISH, english_rows, item, needle_texts


def material(shared: Path, wrapper: Wrapper | None = None) -> Material:
    return replace(english.material(shared / "mirror"), wrapper=wrapper or Wrapper())


def needle(shared: Path, wrapper: Wrapper | None = None, **parameters: object) -> Draft:
    spec = NiahSpec(haystack="repeat", **parameters)  # type: ignore[arg-type]
    return niah.plan(spec, material(shared, wrapper), item()).compose(3)


def test_one_value_is_asked_for_in_the_singular(shared: Path) -> None:
    text = needle(shared).text
    assert text.startswith("A special magic number is ")
    assert text.endswith(" provided text is")


def test_needles_stay_in_the_plural(shared: Path) -> None:
    """Odd for one value, but RULER's numbers have it."""
    made = needle(shared, value_kind="uuids")
    (found,) = made.needles
    assert made.text[found.start :].startswith("One of the special magic uuids for ")
    assert uuid.UUID(made.outputs[0]).version == 4


def test_several_keys_are_listed_as_ruler_lists_them(shared: Path) -> None:
    """Two of them, too, have a comma before `and`."""
    asked = needle(shared, keys=2, queries=2).text.rpartition(" numbers for ")[2]
    assert re.fullmatch(r"[^ ,]+, and [^ ,]+ mentioned .* text are", asked)


def test_the_singular_leaves_the_format_of_a_model_alone(shared: Path) -> None:
    """In the artifact a tuned model is told "You is a helpful assistant" (HAZARDS.md, 3)."""
    text = needle(shared, WRAPPERS["sheared-llama-sharegpt"]).text
    assert text.startswith("You are a helpful assistant.")


@pytest.mark.parametrize(
    ("after", "seam"),
    [
        ("", "text? The special"),
        (" [/INST]", "text? [/INST] The special"),
        ("<end>\n<model>\n", "text?<end>\n<model>\nThe special"),
        (" ASSISTANT: ", "text? ASSISTANT: The special"),
    ],
)
def test_a_format_and_an_answer_meet_at_one_white_space(
    after: str, seam: str, shared: Path
) -> None:
    assert seam in needle(shared, Wrapper("", after)).text


def test_a_misspelling_is_mended(shared: Path) -> None:
    made = variable_tracking.plan(VariableTrackingSpec(), material(shared), item()).compose(5)
    assert "assgined" not in made.text
    assert made.text.count(" are assigned the value ") == 4


def test_a_statement_ends_before_the_blank_after_it(shared: Path) -> None:
    made = variable_tracking.plan(VariableTrackingSpec(), material(shared), item()).compose(5)
    shown = [made.text[each.start : each.end] for each in made.needles]
    assert all(re.fullmatch(r"VAR [A-Z]{5} = (\d{5}|VAR [A-Z]{5})", each) for each in shown)


def test_the_number_of_common_words_is_that_of_the_task(shared: Path) -> None:
    """RULER's template says ten, whatever was asked for."""
    spec = CommonWordsSpec(common=3, common_repeats=4, uncommon_repeats=1)
    made = common_words.plan(spec, material(shared), item()).compose(9)
    assert made.text[made.question_start :].count("3 most common words") == 1
    assert made.text.count("The top 3 words ") == 2  # in the example, too


def test_short_lists_repeat_their_words_less_often(shared: Path) -> None:
    spec = ENGLISH["cwe"]
    for length, often in ((4095, 6), (4096, 30)):
        at = replace(item(), length=length)
        made = common_words.plan(spec, material(shared), at).compose(5)  # type: ignore[arg-type]
        start = made.text.rindex("most often.\n")
        listed = made.text[start : made.question_start].split()
        assert listed.count(made.outputs[0]) == often


@pytest.mark.parametrize(
    "task", [task for task, spec in ENGLISH.items() if getattr(spec, "depth", None) is None]
)
def test_no_blank_is_left_to_be_filled_in(task: str, shared: Path) -> None:
    for sample, detail in english_rows(task, shared):
        assert not re.search(r"\{\w+\}", sample.input)
        assert sample.input[detail.question_start :].startswith("\n")


def test_answers_are_as_long_as_rulers(shared: Path) -> None:
    texts = Reference(shared).prompts.tasks
    kinds = {
        "niah": "niah",
        "variable_tracking": "variable_tracking",
        "common_words": "common_words_extraction",
        "frequent_words": "freq_words_extraction",
        "qa": "qa",
    }
    for spec in ENGLISH.values():
        assert spec.tokens_to_generate == texts[kinds[spec.generator]].tokens_to_generate


@pytest.mark.parametrize("task", ["niah_multikey_3", "vt", "qa_1"])
def test_the_explorer_finds_needles_and_question(task: str, shared: Path) -> None:
    for row in english_rows(task, shared):
        sample, detail = row
        assert detail.needles
        assert all(span.end <= detail.question_start for span in detail.needles)
        text = "\n".join(needle_texts(row))
        assert all(output in text for output in sample.outputs)


def test_prompts_that_are_not_there_have_two_ways_out(tmp_path: Path) -> None:
    with pytest.raises(ResourceError) as refusal:
        english.material(tmp_path)
    line = str(refusal.value)
    assert "needlework fetch prompts" in line
    assert "NEEDLEWORK_MIRROR" in line
    assert "wording: plain" in line
    assert "\n" not in line


def test_other_prompts_than_the_registrys_are_refused(tmp_path: Path) -> None:
    """Somebody's edited copy would be another benchmark."""
    (tmp_path / "ruler").mkdir()
    (tmp_path / "ruler/prompts.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ResourceError, match=r"has sha256 .*wording: plain"):
        english.material(tmp_path)
