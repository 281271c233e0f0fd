"""Frequent words: a power law whose first three made-up words cannot be mistaken."""

from collections import Counter

import pytest

from needlework.nano import language
from needlework.tasks import frequent_words
from needlework.tasks.drafts import Draft
from needlework.tasks.specs import FrequentWordsSpec
from tests.tasks_for_tests import item


def draft(size: int, *, budget: int = 256, alpha: float = 2.0) -> Draft:
    spec = FrequentWordsSpec(alpha=alpha)
    return frequent_words.plan(spec, language.material(), item(budget=budget)).compose(size)


def counts(made: Draft) -> Counter[str]:
    return Counter(made.text[: made.question_start].removeprefix("words : ").split())


@pytest.mark.parametrize("alpha", [1.1, 2.0, 3.5])
@pytest.mark.parametrize("size", [0, 1, 7, 19, 60, 400])
def test_three_words_are_more_frequent_than_all_others(size: int, alpha: float) -> None:
    """Ties would make a right answer wrong; in RULER they can happen."""
    made = draft(size, alpha=alpha)
    found = counts(made)
    del found["..."]
    asked = [found.pop(word) for word in made.outputs]
    assert asked == sorted(asked, reverse=True)
    assert min(asked) > max(found.values(), default=0)


def test_counts_follow_the_square_of_the_rank() -> None:
    found = counts(draft(10_000))
    first, second = found["..."], found[draft(10_000).outputs[0]]
    assert first / second == pytest.approx(4, rel=0.01)


def test_longer_texts_are_written_in_more_words() -> None:
    short, long = (counts(draft(20_000, budget=budget)) for budget in (256, 1500))
    assert (len(short), len(long)) == (9, 31)


def test_the_completion_names_the_most_frequent_first() -> None:
    made = draft(60)
    assert made.completion == f" {' '.join(made.outputs)} ."
