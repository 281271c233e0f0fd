"""A shuffled list of words in which a few come more often than all the others."""

from collections.abc import Sequence
from dataclasses import dataclass

from needlework.tasks import drafts
from needlework.tasks.drafts import Body, Draft, Needle, Outline
from needlework.tasks.material import Item, Material
from needlework.tasks.prompts import Frame
from needlework.tasks.specs import CommonWordsSpec

_SHORT = 4096
"""Tokens below which a context is short: there RULER's lists repeat their words less often."""


@dataclass(frozen=True)
class _Lists:
    """How often words come in a list, and what the solved example before it is made of."""

    common: int
    uncommon: int
    example_words: int
    example_common: int
    example_uncommon: int

    @classmethod
    def of(cls, spec: CommonWordsSpec, item: Item) -> "_Lists":
        """The list of a context; RULER's examples have these sizes whatever the list."""
        if spec.short_repeats is not None and item.length < _SHORT:
            return cls(*spec.short_repeats, 20, 3, 1)
        return cls(spec.common_repeats, spec.uncommon_repeats, 40, 10, 3)


def plan(spec: CommonWordsSpec, material: Material, item: Item) -> Outline:
    """Draw the common and the uncommon words of one sample."""
    pool = item.stream("words").sample(material.words(), len(material.words()))
    common, uncommon = pool[: spec.common], pool[spec.common :]
    lists = _Lists.of(spec, item)
    example = _example(spec, lists, material, item) if material.wording.shows_example else ""

    def compose(size: int) -> Draft:
        rounds = max(1, -(-size // len(uncommon)))
        words = common * (lists.common if item.needle else lists.uncommon) * rounds
        words += uncommon[: size // rounds] * lists.uncommon * rounds
        item.stream("order", size).shuffle(words)
        frame = _frame(material, spec)
        return drafts.finish(
            material,
            frame,
            _listing(material, words, common if item.needle else ()),
            outputs=common,
            completion=_completion(material, frame, words, common),
            example=example,
        )

    return Outline(compose, most=item.budget)


def first_occurrences(
    words: Sequence[str], answers: Sequence[str], *, texts: Sequence[str], separator: str
) -> Body:
    """Words as they are written (`texts`); the first occurrence of an answer is its needle."""
    needles, offset, done = [], 0, 0
    for first in sorted(words.index(answer) for answer in answers):
        offset += sum(map(len, texts[done:first])) + len(separator) * (first - done)
        done = first
        end = offset + len(texts[first])
        needles.append(Needle(end - len(words[first]), end, 100 * first / len(words), True))
    return Body(separator.join(texts), tuple(needles))


def _listing(material: Material, words: Sequence[str], answers: Sequence[str]) -> Body:
    texts = [
        material.wording.numbered.format(number=number, word=word)
        for number, word in enumerate(words, start=1)
    ]
    return first_occurrences(words, answers, texts=texts, separator=material.wording.hay_separator)


def _example(spec: CommonWordsSpec, lists: _Lists, material: Material, item: Item) -> str:
    draws = item.common_stream("example")
    drawn = draws.sample(material.words(), max(spec.common, lists.example_words))
    common, uncommon = drawn[: spec.common], drawn[spec.common :]
    words = common * lists.example_common + uncommon * lists.example_uncommon
    draws.shuffle(words)
    frame = _frame(material, spec)
    return drafts.solved(
        frame, _listing(material, words, common), _completion(material, frame, words, common)
    )


def _frame(material: Material, spec: CommonWordsSpec) -> Frame:
    return material.wording.common.fill(count=str(spec.common))


def _completion(
    material: Material, frame: Frame, words: Sequence[str], common: Sequence[str]
) -> str:
    named = [
        material.wording.named.format(number=number, word=word)
        for number, word in enumerate(sorted(common, key=words.index), start=1)
    ]
    return f" {frame.between.join(named)}{frame.end}"
