"""Prefixes of the essays: the sentences NLTK finds in each, and their tokens."""

import random
import re
from functools import cache
from pathlib import Path

import pytest

from needlework.errors import BudgetError
from needlework.tasks.released.book import Book
from needlework.tasks.released.counting import Counter, joined
from tests.released_for_tests import reference
from tests.unit.tasks.released.test_sentences import upstream

_WITHIN = re.compile(r"""[.?!][)";}\]*:@'({\[?!].*""")


@cache
def book(shared: Path) -> Book:
    material = reference(shared)
    counter = Counter(material.tokenizer("gpt-neox-20b"))
    return Book(material.essay, material.splitter, counter)


def sizes(words: list[str]) -> list[int]:
    """Random prefixes, short ones, and those whose last word might end a sentence within."""
    draws = random.Random(1)
    short = range(1, 60)
    odd = [place + 1 for place, word in enumerate(words[:40_000]) if _WITHIN.search(word)]
    return [*short, *draws.sample(range(60, 6000), 40), *draws.sample(odd, 60)]


@pytest.mark.upstream
def test_the_sentences_of_a_prefix_are_nltks(shared: Path) -> None:
    """A prefix that ends in "what?!" has other sentences than the whole text has there."""
    words = reference(shared).words
    for size in sizes(words):
        prefix = book(shared).prefix(size)
        # Sentences far before the end cannot depend on it: two thousand characters are enough.
        text = " ".join(words[:size]).strip()
        start = max(0, len(text) - 2000)
        start = 0 if not start else text.index(" ", start) + 1
        expected = [text[start + a : start + b] for a, b in upstream(shared, text[start:])]
        found = [*book(shared).sentences[: prefix.whole], *prefix.rest]
        compared = len(expected) if not start else len(expected) - 1
        assert found[-compared:] == expected[-compared:], size


def test_a_prefix_is_put_together_and_counted_exactly(shared: Path) -> None:
    material = reference(shared)
    counter = Counter(material.tokenizer("gpt-neox-20b"))
    made = Book(material.essay, material.splitter, counter)
    draws = random.Random(2)
    for size in draws.sample(range(1, 4000), 25):
        prefix = made.prefix(size)
        spots = sorted(draws.choices(range(len(prefix) + 1), k=2))
        first, second, third = (
            prefix.part(*ends)
            for ends in ((0, spots[0]), (spots[0], spots[1]), (spots[1], len(prefix)))
        )
        rope = [*first, " <1> ", *second, " <2> ", *third]
        text = joined(rope)
        whole = joined(prefix.part(0, len(prefix)))
        assert whole == " ".join([*made.sentences[: prefix.whole], *prefix.rest])
        assert text.replace("<1> ", "").replace("<2> ", "").split() == whole.split()
        assert counter.count([rope]) == [len(material.tokenizer("gpt-neox-20b").encode(text))]


def test_all_words_are_allowed_and_one_more_is_not(shared: Path) -> None:
    """The artifact would go on with a haystack shorter than the length."""
    made = book(shared)
    made.check(525_450)
    with pytest.raises(BudgetError, match="the essays have 525450 words"):
        made.check(525_451)


def test_a_prefix_of_nothing_has_no_sentences(shared: Path) -> None:
    assert len(book(shared).prefix(0)) == 0
