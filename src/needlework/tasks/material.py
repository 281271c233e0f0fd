"""What prompts are made of - words, books, questions - the same form for every language."""

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from needlework import rng
from needlework.errors import StudyError
from needlework.tasks.prompts import Wording, Wrapper

Draw = Callable[[random.Random], str]
Unit = TypeVar("Unit")
_TRIES = 1000


@dataclass(frozen=True)
class Item:
    """One item of a dataset or a training run; all its draws have addresses below its own."""

    seed: int
    address: tuple[str | int, ...]
    index: int
    budget: int
    """Tokens that its prompt may take."""
    length: int
    """Tokens of the whole context, answer included."""
    needle: bool = True
    """Whether what the question asks for is there; hay takes its place in a control without it."""

    def stream(self, *address: str | int) -> random.Random:
        """The generator of one kind of draw of this item."""
        return rng.stream(self.seed, *self.address, self.index, *address)

    def common_stream(self, *address: str | int) -> random.Random:
        """A generator that all items of the dataset share."""
        return rng.stream(self.seed, *self.address, *address)


class Growing(Generic[Unit]):
    """Units that are made when they are first needed, and never change afterwards."""

    def __init__(self, units: Iterable[Unit]) -> None:
        self._more: Iterator[Unit] = iter(units)
        self._made: list[Unit] = []

    def first(self, count: int) -> list[Unit]:
        """The first `count` units, or all there are."""
        while len(self._made) < count:
            more = list(itertools.islice(self._more, count - len(self._made)))
            if not more:
                break
            self._made.extend(more)
        return self._made[:count]


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question, the documents that answer it and others that do not."""

    question: str
    prefix: str = ""
    answers: tuple[str, ...]
    completion: str
    gold: tuple[str, ...]
    others: Growing[str]
    most: int
    """How many others there are."""
    choices: int = 1
    """Of how many questions this is one."""


@dataclass(frozen=True, kw_only=True)
class Material:
    """The words of one language and where its haystacks come from."""

    name: str
    wording: Wording
    draws: Mapping[str, Draw]
    """How a key or value of each kind is drawn."""
    names: Draw
    """How the name of a variable is drawn."""
    example_names: Draw
    """The same, in the solved example before the task."""
    held: Draw
    """How the number that variables hold is drawn."""
    book: Callable[[int], Sequence[str]]
    """Sentences that fill at least so many tokens, always from the first one on."""
    noise: Sequence[str]
    """The repeated paragraph, in the units it is made longer by."""
    words: Callable[[], Sequence[str]]
    """Words that a list may hold, none of which is part of another one."""
    coin: Draw
    """How a made-up word is drawn."""
    coins: int
    """How many different made-up words a text may use."""
    questions: Mapping[str, Callable[["Material", Item], Question]]
    """Where the questions of a source come from."""
    wrapper: Wrapper = field(default_factory=Wrapper)


def distinct(
    draw: Draw, generator: random.Random, count: int, *, without: Iterable[str] = ()
) -> list[str]:
    """`count` different results of `draw`, none of them in `without`.

    Raises:
        StudyError: the material has too few of them.
    """
    found: list[str] = []
    taken = set(without)
    for _ in range(_TRIES * count):
        if len(found) == count:
            break
        word = draw(generator)
        if word not in taken:
            taken.add(word)
            found.append(word)
    if len(found) < count:
        raise StudyError(
            f"the task asks for {count} different words of a kind of which the material has only "
            f"{len(found)}; lower keys, values, chains or hops"
        )
    return found
