"""Fitting: the largest haystack, and token counts that equal the tokenizer's."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from needlework.errors import BudgetError
from needlework.tasks.fitting import Counter, largest_fit
from needlework.tokenizers import Blank


class Letters:
    """A tokenizer that counts its calls; a token is a letter, and a blank is one too."""

    identity, begin, end, vocabulary = "letters", (), frozenset[int](), 256

    def __init__(self, blank: Blank | None) -> None:
        self.blank = blank
        self.read: list[str] = []

    def encode(self, text: str) -> list[int]:
        self.read.append(text)
        return [ord(letter) for letter in text]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return [self.encode(text) for text in texts]

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join(map(chr, tokens))


@given(
    costs=st.lists(st.integers(0, 50), min_size=1, max_size=60),
    budget=st.integers(0, 800),
    guess=st.integers(0, 100),
)
def test_the_fit_is_the_largest_whatever_the_guess(
    costs: list[int], budget: int, guess: int
) -> None:
    totals = [sum(costs[:size]) for size in range(len(costs) + 1)]
    size = largest_fit(totals.__getitem__, budget, most=len(costs), guess=guess)
    assert size == max(each for each, total in enumerate(totals) if total <= budget)


def test_even_units_cost_few_counts() -> None:
    probes: list[int] = []

    def tokens_with(size: int) -> int:
        probes.append(size)
        return 40 + 12 * size

    assert largest_fit(tokens_with, 131_072, most=200_000) == (131_072 - 40) // 12
    assert len(probes) <= 4


def test_a_prompt_too_long_without_hay_is_refused() -> None:
    with pytest.raises(BudgetError, match="needs 40 tokens without any haystack, but only 39"):
        largest_fit(lambda size: 40 + size, 39, most=5)


def test_nothing_to_add_is_size_zero() -> None:
    assert largest_fit(lambda size: 3, 10, most=0) == 0


@pytest.mark.parametrize("text", ["a bc", "a  b", " a b ", "a\nb c", "", "a"])
def test_a_text_counts_the_same_in_words_as_whole(text: str) -> None:
    """Only a single blank between two words is a place to cut."""
    assert Counter(Letters("leads"))(text) == Counter(Letters(None))(text) == len(text)


def test_a_word_is_tokenized_once() -> None:
    tokenizer = Letters("leads")
    count = Counter(tokenizer)
    count("the cat the dog the cat")
    count("the dog the cat")
    assert sorted(tokenizer.read) == [" cat", " dog", " the", "the"]


def test_words_that_stand_alone_lose_their_blank() -> None:
    assert Counter(Letters("parts"))("the cat the") == len("thecatthe")
