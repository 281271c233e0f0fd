"""Numbered lists in which ten words come more often, drawn as the artifact draws them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from needlework.tasks import words
from needlework.tasks.released.counting import Counter, Rope
from needlework.tasks.released.draws import Draws, UnluckyError, last_of_order, order
from needlework.tasks.released.prompts import around_context
from needlework.tasks.released.replay import Draft
from needlework.tasks.specs import CommonWordsSpec

KIND = "common_words_extraction"
STEP = 1
_SHORT = 4096


@dataclass(frozen=True)
class _Layout:
    """How many words a list has and how often they come."""

    common_repeats: int
    uncommon_repeats: int
    example_words: int
    example_common_repeats: int
    example_uncommon_repeats: int


def _layout(spec: CommonWordsSpec, length: int) -> _Layout:
    """Short contexts get another task: fewer repetitions and a smaller example."""
    if length < _SHORT:
        return _Layout(6, 1, 20, 3, 1)
    return _Layout(spec.common_repeats, spec.uncommon_repeats, 40, 10, 3)


class _Tally:
    """Tokens of the words and numbers of lists, each counted once."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._words: dict[str, int] = {}
        self._numbers = [0, 0]

    def words(self, words: Sequence[str]) -> int:
        """The tokens of words, each after its number."""
        new = [word for word in words if word not in self._words]
        self._words.update(
            zip(new, self._counter.inners([f" {word}" for word in new]), strict=True)
        )
        return sum(map(self._words.__getitem__, words))

    def numbers(self, last: int) -> int:
        """The tokens of the numbers from 2 to `last`."""
        new = [f" {number}." for number in range(len(self._numbers), last + 1)]
        self._numbers += accumulate(self._counter.inners(new), initial=self._numbers.pop())
        return self._numbers[last]


@dataclass(frozen=True, slots=True)
class _Numbered:
    """A shuffled list of words under their numbers; counted without being written out."""

    common: Sequence[str]
    uncommon: Sequence[str]
    repeats: tuple[int, int]
    seed: int
    tally: _Tally

    def _size(self) -> int:
        return len(self.common) * self.repeats[0] + len(self.uncommon) * self.repeats[1]

    def text(self) -> str:
        """`1. word 2. word` and so on."""
        listed = [*self.common] * self.repeats[0] + [*self.uncommon] * self.repeats[1]
        places = enumerate(order(self.seed, len(listed)), start=1)
        return " ".join(f"{number}. {listed[place]}" for number, place in places)

    def ends(self) -> tuple[str, int, str]:
        """The first number; all words and numbers between; the last word."""
        last = self._word(last_of_order(self.seed, self._size()))
        words = self.tally.words
        inside = words(self.common) * self.repeats[0] + words(self.uncommon) * self.repeats[1]
        return "1.", inside - words([last]) + self.tally.numbers(self._size()), f" {last}"

    def _word(self, place: int) -> str:
        often = len(self.common) * self.repeats[0]
        if place < often:
            return self.common[place % len(self.common)]
        return self.uncommon[(place - often) % len(self.uncommon)]


class CommonWords:
    """One task in one wrapper."""

    def __init__(
        self, spec: CommonWordsSpec, *, template: str, length: int, draws: Draws, counter: Counter
    ) -> None:
        self._common, self._draws = spec.common, draws
        self._layout = _layout(spec, length)
        listed = words.listed()
        self._words = [listed[place] for place in order(draws.seed, len(listed))]
        self._tally = _Tally(counter)
        before, after = (part.format(query="") for part in around_context(template))
        self._before, self._after = counter.known(before), after
        self._question = counter.known(after)

    @property
    def most(self) -> int:
        """There are no more words than that, however long the context."""
        return len(self._words)

    def draw(self, _: int, size: int) -> Draft:
        """The next prompt whose list has `size` different words.

        Raises:
            UnluckyError: a list without words has no answer, though the artifact would ask for it.
        """
        layout = self._layout
        if not size:
            raise UnluckyError
        shown, example_answers = self._list(
            layout.example_words, layout.example_common_repeats, layout.example_uncommon_repeats
        )
        listed, answers = self._list(size, layout.common_repeats, layout.uncommon_repeats)
        solved = f"{_numbered(example_answers)}\n"
        rope: Rope = [
            self._before,
            shown,
            self._question,
            solved,
            self._before,
            listed,
            self._question,
        ]
        return Draft(
            rope=rope,
            answers=answers,
            suffix=f" {_numbered(answers)}",
            needles=tuple,
            question=self._after,
        )

    def _list(self, size: int, often: int, seldom: int) -> tuple[_Numbered, list[str]]:
        drawn = self._draws.stream.sample(self._words, size)
        common, uncommon = drawn[: self._common], drawn[self._common :]
        repeats = (often, seldom)
        return _Numbered(common, uncommon, repeats, self._draws.seed, self._tally), common


def _numbered(answers: Sequence[str]) -> str:
    return " ".join(f"{number}. {word}" for number, word in enumerate(answers, start=1))
