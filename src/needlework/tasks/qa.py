"""Questions over documents: one or two hold the answer, the others are hay."""

from collections.abc import Sequence

from needlework.tasks import drafts
from needlework.tasks.drafts import Body, Draft, Insert, Outline
from needlework.tasks.material import Growing, Item, Material
from needlework.tasks.specs import QaSpec


def plan(spec: QaSpec, material: Material, item: Item) -> Outline:
    """Draw the question of one sample and the places of the documents that answer it."""
    question = material.questions[spec.source](material, item)
    places = item.stream("depths")
    gold = question.gold if item.needle else ()
    fractions = [places.random() for _ in gold]
    shuffle = item.stream("order")
    ranks = Growing(iter(shuffle.random, None))
    frame = material.wording.documents.fill(question=question.question, prefix=question.prefix)

    def compose(size: int) -> Draft:
        others = question.others.first(size)
        order = sorted(range(len(others)), key=ranks.first(len(others)).__getitem__)
        body = _body(material, gold, fractions, [others[each] for each in order])
        return drafts.finish(
            material, frame, body, outputs=question.answers, completion=question.completion
        )

    return Outline(compose, most=min(question.most, item.budget), choices=question.choices)


def _body(
    material: Material, answering: Sequence[str], fractions: Sequence[float], others: Sequence[str]
) -> Body:
    """The documents under their numbers, those that answer at their fractions of the others."""
    positions = drafts.scatter(fractions, len(others))
    gold = sorted(zip(positions, answering, strict=True), key=lambda pair: pair[0])
    before = [sum(position <= each for position in positions) for each in range(len(others))]
    units = [_number(material, each + before[each] + 1, text) for each, text in enumerate(others)]
    inserts = [
        Insert(position, _number(material, position + rank + 1, text), True)
        for rank, (position, text) in enumerate(gold)
    ]
    return drafts.weave(units, inserts, separator=material.wording.document_separator)


def _number(material: Material, number: int, text: str) -> str:
    return material.wording.document.format(number=number, text=text)
