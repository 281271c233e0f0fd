"""Needles in a haystack, drawn as the artifact draws them."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from itertools import chain
from types import MappingProxyType

from needlework.tasks import words
from needlework.tasks.released.book import Book
from needlework.tasks.released.counting import Counter, Part, Rope
from needlework.tasks.released.draws import Draws, UnluckyError, identifier, number, order
from needlework.tasks.released.prompts import SINGULAR, Prompts, around_context
from needlework.tasks.released.replay import Draft, Needle
from needlework.tasks.specs import NiahSpec

_DEPTHS = tuple(round(100 * place / 39) for place in range(40))
"""Percent of the sentences before an essay's needle: `round(linspace(0, 100, 40))`."""
_ESSAY_STEP, _LINES_STEP, _FINE_STEP = 50, 25, 5
_SHORT = 4096


@cache
def _pairs() -> words.Pairs:
    return words.pairs()


def _word(stream: random.Random) -> str:
    return stream.choice(_pairs())


_KINDS: Mapping[str, Callable[[random.Random], str]] = MappingProxyType(
    {"words": _word, "numbers": number, "uuids": identifier}
)


def step(spec: NiahSpec, length: int, *, fine: bool) -> int:
    """By how much the artifact changes the haystack: words of the essay, or lines."""
    if fine or (spec.haystack != "essay" and length < _SHORT):
        return _FINE_STEP
    return _ESSAY_STEP if spec.haystack == "essay" else _LINES_STEP


@dataclass(frozen=True, slots=True)
class _Planted:
    """A needle, and how many sentences or lines of hay lie before it."""

    key: str
    value: str
    position: int
    text: str


@dataclass(frozen=True, slots=True)
class _Lines:
    """Needles, one a line; only their keys and values have to be counted."""

    form: "_Form"
    needles: Sequence[tuple[str, str]]
    """Keys and values."""

    def text(self) -> str:
        """The lines."""
        return "\n".join([self.form.say(key, value) for key, value in self.needles])

    def ends(self) -> tuple[str, int, str]:
        """The first word of the first line, and the value of the last."""
        form, (_, last) = self.form, self.needles[-1]
        keys = "".join([f" {key}" for key, _ in self.needles])
        values = "".join([f" {value}{form.seam}" for _, value in self.needles[:-1]])
        inside = len(self.needles) * form.tokens + form.inner(keys) + form.inner(values)
        return form.first, inside, f" {last}{form.end}"


class _Form:
    """How a needle is worded: a first word, a key between blanks, and a value near the end."""

    def __init__(self, needle: str, kind: str, counter: Counter) -> None:
        self.inner = counter.inner
        self._before, after = needle.replace("{type_needle_v}", kind).split(" {key}")
        self._between, self.end = after.split(" {value}")
        self.first, _, rest = self._before.partition(" ")
        self.seam = f"{self.end}\n{self.first}"
        self.tokens = counter.inner(f" {rest}") + counter.inner(self._between)

    def say(self, key: str, value: str) -> str:
        """One needle."""
        return f"{self._before} {key}{self._between} {value}{self.end}"


class Niah:
    """One task in one wrapper."""

    def __init__(
        self,
        spec: NiahSpec,
        prompts: Prompts,
        *,
        template: str,
        draws: Draws,
        counter: Counter,
        book: Book | None,
    ) -> None:
        self._spec, self._draws, self._book = spec, draws, book
        self._form = _Form(prompts.needle, spec.value_kind, counter)
        kind: str = spec.value_kind
        if spec.queries * spec.values == 1:
            for plural, singular in SINGULAR:
                template = template.replace(plural, singular)
            kind = kind[:-1]
        before, after = around_context(template)
        self._kind, self._after = kind, after
        self._before = counter.known(before.format(type_needle_v=kind))
        self._noise = prompts.noise
        self._lines = counter.repeated(f"{prompts.noise}\n")

    def draw(self, _: int, size: int) -> Draft:
        """The next prompt with `size` words or lines of hay.

        Raises:
            UnluckyError: there is no room for the needles.
        """
        stream, spec = self._draws.stream, self._spec
        new_key, new_value = _KINDS[spec.key_kind], _KINDS[spec.value_kind]
        keys, values, needles = [], [], []
        for _ in range(spec.keys):
            keys.append(new_key(stream))
            values.append([new_value(stream) for _ in range(spec.values)])
            needles += [(keys[-1], value) for value in values[-1]]
        needles = [needles[place] for place in order(self._draws.seed, len(needles))]
        compose = self._essay if spec.haystack == "essay" else self._in_lines
        context, planted, units = compose(needles, size)
        asked = stream.sample(range(spec.keys), spec.queries)
        question = self._after.format(
            type_needle_v=self._kind, query=_enumerate([keys[key] for key in asked])
        )
        answers = [value for key in asked for value in values[key]]
        wanted = {keys[key] for key in asked}
        return Draft(
            rope=[self._before, *context, question],
            answers=answers,
            suffix=" ".join(answers),
            needles=lambda: [
                Needle(each.text, 100 * each.position / max(units, 1), each.key in wanted)
                for each in planted
            ],
            question=question,
            others=lambda: _others(needles, context, wanted),
        )

    def _fixed(self, units: int) -> int | None:
        """The position of every needle of a task with a fixed depth."""
        depth = self._spec.depth
        return None if depth is None else int(units * (depth / 100))

    def _plant(
        self, needles: Iterable[tuple[str, str]], positions: Iterable[int]
    ) -> list[_Planted]:
        """Needles and positions in text order."""
        return [
            _Planted(key, value, position, self._form.say(key, value))
            for (key, value), position in zip(needles, positions, strict=True)
        ]

    def _essay(
        self, needles: Sequence[tuple[str, str]], size: int
    ) -> tuple[Rope, list[_Planted], int]:
        """The first `size` words of the essays, needles between their sentences."""
        assert self._book is not None
        prefix = self._book.prefix(size)
        units = len(prefix)
        if len(needles) > len(_DEPTHS):
            raise UnluckyError
        drawn = self._draws.stream.sample(_DEPTHS, len(needles))
        fixed = self._fixed(units)
        positions = sorted(
            int(units * (depth / 100)) if fixed is None else fixed for depth in drawn
        )
        planted = self._plant(needles, positions)
        rope: list[str | Part] = []
        for first, each in zip([0, *positions], planted, strict=False):
            rope += [*prefix.part(first, each.position), f" {each.text} "]
        return [*rope, *prefix.part(positions[-1], units)], planted, units

    def _in_lines(
        self, needles: Sequence[tuple[str, str]], size: int
    ) -> tuple[Rope, list[_Planted], int]:
        """Lines of noise, or of needles that are not asked for, with the needles between them."""
        stream, spec = self._draws.stream, self._spec
        hay: list[tuple[str, str]] = []
        if spec.haystack == "needle":
            new_key, new_value = _KINDS[spec.key_kind], _KINDS[spec.value_kind]
            hay = [(new_key(stream), new_value(stream)) for _ in range(size)]
        if len(needles) > size:
            raise UnluckyError
        drawn = stream.sample(range(size), len(needles))
        fixed = self._fixed(size)
        positions = sorted(drawn) if fixed is None else [fixed] * len(drawn)
        planted = self._plant(reversed(needles), positions)
        if spec.haystack == "repeat":
            return self._noisy(planted, size), planted, size
        for each in reversed(planted):
            hay.insert(each.position, (each.key, each.value))
        return [_Lines(self._form, hay)], planted, size

    def _noisy(self, planted: Sequence[_Planted], size: int) -> Rope:
        """Lines of noise with needles between them."""
        rope: list[str | Part] = []
        done = 0
        for each in planted:
            rope += [*self._lines.times(each.position - done), f"{each.text}\n"]
            done = each.position
        if done < size:
            return [*rope, *self._lines.times(size - done - 1), self._noise]
        return [*rope[:-1], planted[-1].text]


def _others(needles: Sequence[tuple[str, str]], context: Rope, wanted: Set[str]) -> list[str]:
    """The values of needles, those of the hay among them, that are not asked for, each once."""
    hay = (each.needles for each in context if isinstance(each, _Lines))
    pairs = chain(needles, *hay)
    return list(dict.fromkeys(value for key, value in pairs if key not in wanted))


def _enumerate(queries: Sequence[str]) -> str:
    *first, last = queries
    return f"{', '.join(first)}, and {last}" if first else last
