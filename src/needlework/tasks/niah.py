"""Needles in a haystack: statements hidden in a repeated paragraph, a book or other needles."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from needlework.tasks import drafts
from needlework.tasks.drafts import Body, Draft, Insert, Outline
from needlework.tasks.material import Growing, Item, Material, distinct
from needlework.tasks.prompts import Frame
from needlework.tasks.specs import NiahSpec


@dataclass(frozen=True)
class _Fact:
    """One needle: what it says, where it goes and whether it is asked for."""

    key: str
    value: str
    fraction: float
    asked: bool


def plan(spec: NiahSpec, material: Material, item: Item) -> Outline:
    """Draw the needles of one sample and the hay they will lie in."""
    facts = _facts(spec, material, item)
    said: dict[str, str] = {}
    hay, most = _hay(spec, material, item, facts, said)
    wording = material.wording
    separator = wording.hay_separator if spec.haystack == "essay" else wording.line_separator

    def compose(size: int) -> Draft:
        units = hay.first(size)
        positions = drafts.scatter([fact.fraction for fact in facts], len(units))
        if spec.depth is not None:
            positions[0] = drafts.at_depth(spec.depth, len(units))
        placed = sorted(zip(positions, facts, strict=True), key=lambda pair: pair[0])
        inserts = [
            Insert(position, _say(material, spec, fact.key, fact.value), fact.asked)
            for position, fact in placed
            if item.needle or not fact.asked
        ]
        body = drafts.weave(units, inserts, separator=separator)
        others = [fact.value for fact in facts if not fact.asked]
        others += [said[unit] for unit in units] if spec.haystack == "needle" else []
        in_order = [fact for _, fact in placed]
        return _ask(spec, material, body, drawn=facts, in_order=in_order, others=others)

    return Outline(compose, most=most)


def _facts(spec: NiahSpec, material: Material, item: Item) -> list[_Fact]:
    count = spec.keys * spec.values
    keys = distinct(material.draws[spec.key_kind], item.stream("keys", spec.key_kind), spec.keys)
    values = distinct(
        material.draws[spec.value_kind],
        item.stream("values", spec.value_kind),
        count,
        without=keys,
    )
    depths = item.stream("depths")
    return [
        _Fact(keys[each // spec.values], value, depths.random(), each // spec.values < spec.queries)
        for each, value in enumerate(values)
    ]


def _hay(
    spec: NiahSpec,
    material: Material,
    item: Item,
    facts: Sequence[_Fact],
    said: dict[str, str],
) -> tuple[Growing[str], int]:
    """The units of hay, and how many there are at most; `said` learns the values in them."""
    if spec.haystack == "essay":
        book = material.book(item.budget)
        return Growing(book), len(book)
    if spec.haystack == "repeat":
        return Growing(itertools.cycle(material.noise)), item.budget
    return Growing(_distractors(spec, material, item, facts, said)), item.budget


def _distractors(
    spec: NiahSpec,
    material: Material,
    item: Item,
    facts: Sequence[_Fact],
    said: dict[str, str],
) -> Iterator[str]:
    """An endless stream of needles not asked for; none has a key or value of the real ones."""
    draws = item.stream("distractors", spec.key_kind, spec.value_kind)
    keys, values = {fact.key for fact in facts}, {fact.value for fact in facts}
    while True:
        (key,) = distinct(material.draws[spec.key_kind], draws, 1, without=keys)
        (value,) = distinct(material.draws[spec.value_kind], draws, 1, without=values)
        sentence = _say(material, spec, key, value)
        said[sentence] = value
        yield sentence


def _say(material: Material, spec: NiahSpec, key: str, value: str) -> str:
    noun, nouns = material.wording.nouns[spec.value_kind]
    return material.wording.needle.format(noun=noun, nouns=nouns, key=key, value=value)


def _ask(
    spec: NiahSpec,
    material: Material,
    body: Body,
    *,
    drawn: Sequence[_Fact],
    in_order: Sequence[_Fact],
    others: Sequence[str],
) -> Draft:
    wording = material.wording
    noun, nouns = wording.nouns[spec.value_kind]
    keys = list(dict.fromkeys(fact.key for fact in drawn if fact.asked))
    several = len(keys) * spec.values > 1
    frame = (wording.many_needles if several else wording.one_needle).fill(
        noun=noun, nouns=nouns, query=wording.enumerate(keys), first=keys[0]
    )
    answers = [fact for key in keys for fact in in_order if fact.key == key]
    return drafts.finish(
        material,
        frame,
        body,
        outputs=[fact.value for fact in drawn if fact.asked],
        completion=_completion(frame, answers, noun),
        others=others,
    )


def _completion(frame: Frame, answers: Sequence[_Fact], noun: str) -> str:
    first, *more = answers
    following = [frame.between.format(noun=noun, key=fact.key) + fact.value for fact in more]
    return "".join([" ", first.value, *following, frame.end])
