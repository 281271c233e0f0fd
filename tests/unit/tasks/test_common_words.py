"""Common words: counts that are exactly as asked, at any size."""

from collections import Counter
from pathlib import Path

import pytest

from needlework.nano import language
from needlework.tasks import common_words, english
from needlework.tasks.drafts import Draft
from needlework.tasks.specs import CommonWordsSpec
from tests.tasks_for_tests import item

SPEC = CommonWordsSpec(common=3, common_repeats=4, uncommon_repeats=1)
POOL = len(language.material().words()) - SPEC.common


def draft(size: int, spec: CommonWordsSpec = SPEC) -> Draft:
    return common_words.plan(spec, language.material(), item()).compose(size)


def counts(made: Draft) -> Counter[str]:
    return Counter(made.text[: made.question_start].removeprefix("words : ").split())


def test_common_words_come_as_often_as_asked_and_others_once() -> None:
    found = counts(draft(50))
    common = draft(50).outputs
    assert {found[word] for word in common} == {4}
    assert {found[word] for word in found if word not in common} == {1}
    assert len(found) == 53


@pytest.mark.parametrize("size", [POOL + 1, 2 * POOL, 5 * POOL])
def test_all_counts_rise_together_when_the_words_run_out(size: int) -> None:
    """RULER stops at its last word, so its longest prompts are not as long as they claim."""
    rounds = -(-size // POOL)
    found = counts(draft(size))
    common = draft(size).outputs
    assert {found[word] for word in common} == {4 * rounds}
    assert {found[word] for word in found if word not in common} == {rounds}


def test_the_list_never_shrinks_as_it_grows() -> None:
    lengths = [len(draft(size).text.split()) for size in range(0, 3 * POOL, 7)]
    assert lengths == sorted(lengths)


def test_a_needle_is_the_first_occurrence_of_its_word() -> None:
    made = draft(50)
    for needle in made.needles:
        word = made.text[needle.start : needle.end]
        assert word in made.outputs
        assert made.text.split().index(word) == made.text[: needle.start].count(" ")


def test_the_completion_names_the_words_as_they_first_appear() -> None:
    made = draft(50)
    shown = [made.text[needle.start : needle.end] for needle in made.needles]
    assert made.completion == f" {' '.join(shown)} ."


def test_the_order_differs_between_samples() -> None:
    """RULER shuffles every sample of a length alike (hazard H10)."""
    places = set()
    for index in range(6):
        made = common_words.plan(SPEC, language.material(), item(index)).compose(40)
        places.add(tuple(made.text[: needle.start].count(" ") for needle in made.needles))
    assert len(places) == 6


def test_english_numbers_the_words_and_shows_an_example(tmp_path: Path) -> None:
    spec = CommonWordsSpec(common=10, common_repeats=10, uncommon_repeats=1)
    made = common_words.plan(spec, english.material(tmp_path, wording="plain"), item()).compose(20)
    body = made.text[: made.question_start]
    assert body.endswith(f" 120. {body.split()[-1]}")
    assert made.text.count("Answer: The 10 words that come most often are") == 2
