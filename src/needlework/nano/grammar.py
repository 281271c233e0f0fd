"""Books without meaning: sentences whose words follow a random table of transitions.

Two grammars share all words and differ in every transition: the models train on one and can be
asked to read the other.
"""

import random
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Literal

from needlework import rng
from needlework.nano.vocabulary import FUNCTION, WORDS

Grammar = Literal["common", "unseen"]

_SUCCESSORS = 12
_FUNCTION_SHARE = 0.25
_SHORTEST, _LONGEST = 6, 14
"""Words of a sentence, the full stop included."""
_BOOKS = 64
_BOOK_TOKENS = 4096
_PARAGRAPH = 4
"""Sentences of the repeated paragraph."""
_SHORTEST_NOISE, _LONGEST_NOISE = 5, 8


@cache
def _transitions(grammar: Grammar) -> dict[str, list[str]]:
    draws = rng.stream(0, "nano", "grammar", grammar)
    return {word: draws.sample(WORDS, _SUCCESSORS) for word in WORDS}


def sentences(
    grammar: Grammar, draws: random.Random, *, shortest: int = _SHORTEST, longest: int = _LONGEST
) -> Iterator[str]:
    """Sentences without end, of `shortest` to `longest` words with their full stop."""
    follow = _transitions(grammar)
    word = draws.choice(WORDS)
    while True:
        room = draws.randint(shortest, longest) - 1
        words: list[str] = []
        while len(words) < room:
            if len(words) < room - 1 and draws.random() < _FUNCTION_SHARE:
                words.append(draws.choice(FUNCTION))
            word = draws.choice(follow[word])
            words.append(word)
        yield " ".join([*words, "."])


def _fill(more: Iterator[str], tokens: int) -> tuple[str, ...]:
    """Sentences of at least `tokens` words."""
    made: list[str] = []
    while tokens > 0:
        made.append(next(more))
        tokens -= made[-1].count(" ") + 1
    return tuple(made)


@cache
def evaluation_book(grammar: Grammar, tokens: int) -> Sequence[str]:
    """The first sentences of the book that every evaluation reads, at least `tokens` words."""
    return _fill(sentences(grammar, rng.stream(0, "nano", "evaluate", "book", grammar)), tokens)


@cache
def evaluation_noise(grammar: Grammar) -> Sequence[str]:
    """The paragraph that every evaluation repeats: short sentences of about 25 words in all."""
    draws = rng.stream(0, "nano", "evaluate", "noise", grammar)
    return _paragraph(grammar, draws)


def _paragraph(grammar: Grammar, draws: random.Random) -> tuple[str, ...]:
    more = sentences(grammar, draws, shortest=_SHORTEST_NOISE, longest=_LONGEST_NOISE)
    return tuple(next(more) for _ in range(_PARAGRAPH))


@cache
def _training_book(number: int) -> tuple[str, ...]:
    return _fill(sentences("common", rng.stream(0, "nano", "train", "book", number)), _BOOK_TOKENS)


def training_book(draws: random.Random, tokens: int) -> Sequence[str]:
    """At least `tokens` words from a random place of a random training book."""
    book = _training_book(draws.randrange(_BOOKS))
    start = draws.randrange(len(book))
    count = tokens // _SHORTEST + 1
    return [book[(start + each) % len(book)] for each in range(count)]


def training_noise(draws: random.Random) -> Sequence[str]:
    """A paragraph to repeat, drawn afresh."""
    return _paragraph("common", draws)
