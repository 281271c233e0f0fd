"""Words: the sorted set RULER draws from, and the refusal of any other."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from needlework.errors import ResourceError
from needlework.tasks import words

CWE_SHA256 = "d6df582c537f9414be7e752dfb9df7939bc5b4943bc7db28d38e74b5ac265ddf"


@given(st.sets(st.sampled_from(["a", "ab", "a-c", "a c", "a-cd", "b", "B"]), min_size=1))
def test_pairs_are_the_sorted_product(lefts: set[str]) -> None:
    """Words with hyphens and blanks sort between the pairs of shorter words."""
    rights = ["x", "bat", "dog", "dot"]
    expected = sorted(f"{left}-{right}" for left in lefts for right in rights)
    assert list(words.Pairs(sorted(lefts), rights)) == expected


def test_a_position_gives_what_iterating_gives() -> None:
    pairs = words.Pairs(["blue", "blue-eyed", "old"], ["cat", "dog", "fly"])
    assert [pairs[each] for each in range(len(pairs))] == list(pairs)


def test_positions_count_from_the_end_too() -> None:
    pairs = words.Pairs(["blue"], ["cat", "dog"])
    assert (pairs[-1], pairs[-2:]) == ("blue-dog", ["blue-cat", "blue-dog"])


def test_a_position_past_the_end_is_an_index_error() -> None:
    with pytest.raises(IndexError):
        words.Pairs(["blue"], ["cat"])[1]


def test_there_are_as_many_pairs_as_ruler_has() -> None:
    assert len(words.pairs()) == 6_175_260


@pytest.mark.slow
def test_all_pairs_are_those_of_ruler() -> None:
    digest = hashlib.sha256("\n".join(words.pairs()).encode()).hexdigest()
    assert digest == words.PAIRS_SHA256


def test_listed_words_are_those_of_ruler() -> None:
    assert hashlib.sha256("\n".join(words.listed()).encode()).hexdigest() == CWE_SHA256


def test_no_separable_word_is_part_of_another() -> None:
    """Half a word must not count as an answer: `ad` is in 62 other words of the list."""
    separable = words.separable()
    text = "\n".join(words.listed())
    assert "ad" not in separable
    assert all(text.count(word) == 1 for word in separable[::20])


def test_word_lists_of_another_version_are_refused_with_the_reason() -> None:
    """Version 3 has four nouns less, and 32 of 37 golden files differ."""
    lists = {name: each[4:] for name, each in words._lists().items()}
    with pytest.raises(ResourceError, match=r"install wonderwords==2\.2\.0"):
        words.verify(lists)
