"""The artifact's generators as the specification tells them, without any shortcut: slow and plain.

A second opinion on `tasks.released`: every prompt is written out and tokenized whole, lists
are lists, one order of draws. Only the draws of `random` and `numpy.random` are shared.
"""

import random
import string
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.special import zeta

from needlework.tasks.released.prompts import Prompts

Row = tuple[str, list[str], int]
"""Prompt, answers and the length that is written down."""

PATIENCE = 60
"""Failures in a row after which a sample counts as impossible (the artifact never gives up)."""


class EndlessError(Exception):
    """The artifact would never finish, or stop with an error."""


@dataclass
class Artifact:
    """One run of one generator."""

    prompts: Prompts
    wrapper: str
    count: Callable[[str], int]
    length: int
    seed: int
    words: Sequence[str] = ()
    listed: Sequence[str] = ()
    essay: Sequence[str] = ()
    split: Callable[[str], list[str]] = lambda text: [text]
    rows: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stream = random.Random(self.seed)
        self.numbers = np.random.RandomState(self.seed)

    def template(self, kind: str) -> str:
        return self.prompts.template(kind, self.wrapper)

    def shuffle(self, items: list[Any]) -> None:
        random.Random(self.seed).shuffle(items)

    def search(
        self,
        draw: Callable[[int], tuple[str, list[str]]],
        suffix: Callable[[list[str]], str],
        *,
        step: int,
        answer: int,
        length: int,
        most: int | None = None,
    ) -> int:
        size, total = step, 0
        while total + answer < length:
            try:
                text, answers = draw(size)
            except (IndexError, ValueError) as error:
                raise EndlessError from error
            total = self.count(text + suffix(answers))
            if total + answer > length:
                return size - step
            size += step
            if most is not None and size > most:
                return most
        return size

    def fit(
        self,
        draw: Callable[[int], tuple[str, list[str]]],
        size: int,
        *,
        step: int,
        answer: int,
        length: int,
        shrinks: bool = True,
    ) -> Row:
        used, failures = size, 0
        while failures < PATIENCE:
            try:
                text, answers = draw(used)
                total = self.count(text) + answer
                if total <= length:
                    return text, answers, total
            except (IndexError, ValueError):
                pass
            if shrinks and used > step:
                used -= step
            else:
                failures += 1
        raise EndlessError

    def niah(
        self,
        samples: int,
        *,
        haystack: str,
        kinds: tuple[str, str],
        counts: tuple[int, int, int],
        depth: float | None,
        step: int,
    ) -> list[Row]:
        k, v, q = counts
        template = self.template("niah")
        answer = self.prompts.tasks["niah"].tokens_to_generate

        def new(kind: str) -> str:
            if kind == "words":
                return self.stream.choice(self.words)
            if kind == "numbers":
                return str(self.stream.randint(10**6, 10**7 - 1))
            return str(uuid.UUID(int=self.stream.getrandbits(128), version=4))

        def needle(key: str, value: str) -> str:
            return self.prompts.needle.format(type_needle_v=kinds[1], key=key, value=value)

        def draw(size: int) -> tuple[str, list[str]]:
            keys, values, needles = [], [], []
            for _ in range(k):
                keys.append(new(kinds[0]))
                values.append([])
                for _ in range(v):
                    values[-1].append(new(kinds[1]))
                    needles.append(needle(keys[-1], values[-1][-1]))
            self.shuffle(needles)
            if haystack == "essay":
                sentences = self.split(" ".join(self.essay[:size]).strip())
                depths = list(np.round(np.linspace(0, 100, num=40)).astype(int))
                spots = [
                    int(len(sentences) * (each / 100))
                    for each in self.stream.sample(depths, len(needles))
                ]
                if depth is not None:
                    spots = [int(len(sentences) * depth)] * len(needles)
                cuts = [0, *sorted(spots), len(sentences)]
                parts = []
                for place, (start, end) in enumerate(pairwise(cuts)):
                    parts.append(" ".join(sentences[start:end]))
                    parts += needles[place : place + 1]
                context = " ".join(parts)
            else:
                lines = (
                    [self.prompts.noise] * size
                    if haystack == "repeat"
                    else [needle(new(kinds[0]), new(kinds[1])) for _ in range(size)]
                )
                spots = sorted(self.stream.sample(range(size), len(needles)), reverse=True)
                if depth is not None:
                    spots = [int(size * depth)] * len(needles)
                for spot, each in zip(spots, needles, strict=True):
                    lines.insert(spot, each)
                context = "\n".join(lines)
            asked = self.stream.sample(range(k), q)
            names = [keys[each] for each in asked]
            query = f"{', '.join(names[:-1])}, and {names[-1]}" if q > 1 else names[0]
            kind, form = kinds[1], template
            if q * v == 1:
                for old, singular in (
                    ("Some", "A"),
                    ("are all", "is"),
                    ("are", "is"),
                    ("answers", "answer"),
                ):
                    form = form.replace(old, singular)
                kind = kind[:-1]
            text = form.format(type_needle_v=kind, context=context, query=query)
            return text, [value for each in asked for value in values[each]]

        size = self.search(draw, " ".join, step=step, answer=answer, length=self.length)
        return [
            self.fit(draw, size, step=step, answer=answer, length=self.length)
            for _ in range(samples)
        ]

    def tracking(self, samples: int, *, chains: int, hops: int) -> list[Row]:
        task = self.prompts.tasks["variable_tracking"]
        answer = task.tokens_to_generate
        whole = self.template("variable_tracking")
        start, prefix = whole.index(task.template[:20]), whole.index(task.answer_prefix[:10])
        bare = " ".join(whole[start:prefix].split()[:-1]) + whole[prefix:]

        def draw(size: int, example: bool) -> tuple[str, list[str]]:
            letters, steps = (3, min(10, hops)) if example else (5, hops)

            def name() -> str:
                return "".join(self.stream.choices(string.ascii_uppercase, k=letters))

            names = [name() for _ in range((steps + 1) * chains)]
            while len(set(names)) < (steps + 1) * chains:
                names.append(name())
            variables, stated = [], []
            for first in range(0, len(names), steps + 1):
                own = names[first : first + steps + 1]
                variables.append(own)
                chain = [f"VAR {own[0]} = {self.numbers.randint(10000, 99999)}"]
                chain += [f"VAR {own[each + 1]} = VAR {own[each]} " for each in range(steps)]
                stated.append(chain)
            units = [f"{self.prompts.noise}\n"] * size
            if len(units) <= len(stated[0]):
                pieces = [piece for each in units for piece in each.split(".")]
                units = [piece + "." if piece.strip() else piece for piece in pieces]
                if len(units) <= len(stated[0]):
                    stated = [chain[: len(units) - 1] for chain in stated]
            for chain in stated:
                spots = sorted(self.stream.sample(range(len(units)), len(chain)))
                for moved, (spot, each) in enumerate(zip(spots, chain, strict=True)):
                    units.insert(spot + moved, each)
            context = " ".join(units).replace(". \n", ".\n")
            value = stated[0][0].split("=")[-1].strip()
            form = bare if example else whole
            return form.format(context=context, query=value, num_v=hops + 1), variables[0]

        def suffix(answers: list[str]) -> str:
            return f" {answers}"

        def shown(size: int) -> tuple[str, list[str]]:
            return draw(size, True)

        def asked(size: int) -> tuple[str, list[str]]:
            return draw(size, False)

        size = self.search(shown, suffix, step=5, answer=answer, length=500)
        text, names, _ = self.fit(shown, size, step=5, answer=answer, length=500, shrinks=False)
        example = f"{text} {' '.join(names)}\n\n"
        extra = answer + self.count(example)
        size = self.search(asked, suffix, step=1, answer=extra, length=self.length)
        rows = []
        for _ in range(samples):
            text, answers, total = self.fit(
                asked, size, step=1, answer=extra, length=self.length, shrinks=False
            )
            cut = text.index(task.template[:20])
            rows.append((f"{text[:cut]} {example}\n\n{text[cut:]}", answers, total))
        return rows

    def common(self, samples: int, *, common: int, repeats: tuple[int, int]) -> list[Row]:
        kind = "common_words_extraction"
        template, answer = self.template(kind), self.prompts.tasks[kind].tokens_to_generate
        words = list(self.listed)
        self.shuffle(words)

        def numbered(items: Sequence[str]) -> str:
            return " ".join(f"{place}. {word}" for place, word in enumerate(items, start=1))

        def one(size: int, often: int, seldom: int) -> tuple[str, list[str]]:
            drawn = self.stream.sample(words, size)
            items = drawn[:common] * often + drawn[common:] * seldom
            self.shuffle(items)
            return numbered(items), drawn[:common]

        def draw(size: int) -> tuple[str, list[str]]:
            short = self.length < 4096
            example, solved = one(20, 3, 1) if short else one(40, 10, 3)
            context, answers = one(size, 6, 1) if short else one(size, *repeats)
            before = template.format(context=example, query="") + numbered(solved)
            return f"{before}\n{template.format(context=context, query='')}", answers

        def suffix(answers: list[str]) -> str:
            return f" {numbered(answers)}"

        size = self.search(draw, suffix, step=1, answer=answer, length=self.length, most=len(words))
        if not size:
            raise EndlessError
        return [
            self.fit(draw, size, step=1, answer=answer, length=self.length) for _ in range(samples)
        ]

    def frequent(self, samples: int, *, alpha: float) -> list[Row]:
        kind = "freq_words_extraction"
        template, answer = self.template(kind), self.prompts.tasks[kind].tokens_to_generate
        step, codes = self.length // 32, self.length // 50
        if codes < 4:
            raise EndlessError

        def vocabulary() -> list[str]:
            def code() -> str:
                return "".join(self.stream.choices(string.ascii_lowercase, k=6))

            found = [code() for _ in range(codes)]
            while len(set(found)) < codes:
                found.append(code())
            ordered = sorted(set(found))
            self.shuffle(ordered)
            ordered[0] = "..."
            return ordered

        def write(known: list[str], size: int) -> str:
            ranks = np.arange(1, len(known) + 1)
            often = (size * (ranks**-alpha) / zeta(alpha)).astype(int)
            items = [word for word, times in zip(known, often, strict=True) for _ in range(times)]
            self.shuffle(items)
            return template.format(context=" ".join(items), query="")

        known, size = vocabulary(), self.length // 6
        while self.count(write(known, size)) < self.length:
            size += step
        size -= step
        rows = []
        for _ in range(samples):
            known, used = vocabulary(), size
            while self.count(write(known, used)) > self.length:
                used -= step
                if used <= 0:
                    raise EndlessError
            text = write(known, used)
            rows.append((text, known[1:4], self.count(text) + answer))
        return rows

    def qa(
        self, samples: int, *, questions: Sequence[Any], documents: Sequence[str], first: int
    ) -> list[Row]:
        template, answer = self.template("qa"), self.prompts.tasks["qa"].tokens_to_generate
        pool = list(documents)

        def draw(number: int, size: int) -> tuple[str, list[str]]:
            asked = questions[number]
            own, near = list(asked.own), list(asked.near)
            if size < len(pool):
                if size < len(own):
                    places = self.stream.sample(own, size)
                elif size - len(own) < len(near):
                    places = own + self.stream.sample(near, size - len(own))
                else:
                    rest = [place for place in range(len(pool)) if place not in own + near]
                    more = max(0, size - len(own) - len(near))
                    places = own + near + self.stream.sample(rest, more)
                shown = [pool[place] for place in places]
            else:
                shown = pool
            self.shuffle(shown)
            context = "\n\n".join(
                f"Document {place}:\n{text}" for place, text in enumerate(shown, start=1)
            )
            return template.format(context=context, query=asked.text), list(asked.answers)

        size = self.search(
            lambda size: draw(0, size),
            lambda answers: f" {answers}",
            step=1,
            answer=answer,
            length=self.length,
            most=len(pool),
        )
        return [
            self.fit(
                lambda used, number=first + each: draw(number, used),
                size,
                step=1,
                answer=answer,
                length=self.length,
            )
            for each in range(samples)
        ]
