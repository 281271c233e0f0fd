"""Questions over documents, drawn as the artifact draws them.

When a context has room for every document, the artifact shuffles its own list of them, so that
later questions find other documents at their places.
"""

import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from needlework.door import opens, read_json
from needlework.errors import ResourceError
from needlework.tasks.released.counting import Counter, Known, Part
from needlework.tasks.released.draws import Draws, order
from needlework.tasks.released.prompts import around_context
from needlework.tasks.released.replay import Draft, Needle

KIND = "qa"
STEP = 1
_BETWEEN = "\n\n"

NAME = "name the right file"


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its answers; documents are positions in the list of all."""

    text: str
    answers: tuple[str, ...]
    own: tuple[int, ...]
    """Documents that belong to it, gold ones and distractors."""
    near: tuple[int, ...]
    """Other documents of the same article."""
    gold: tuple[int, ...]
    """Documents that hold the answer."""


@dataclass(frozen=True, slots=True)
class Collection:
    """All answerable questions of a file, and its different documents in sorted order."""

    questions: tuple[Question, ...]
    documents: tuple[str, ...]


def read(source: str, path: Path) -> Collection:
    """The questions in a SQuAD v2 or HotpotQA file.

    Raises:
        ResourceError: the file is absent or has another form, or holds a question without an
            answer, which the artifact would ask.
    """
    collection = _READERS[source](path)
    if not collection.questions:
        raise ResourceError(f"{path}: no answerable question; name a complete {source} file")
    for question in collection.questions:
        if not question.answers or not all(each.strip() for each in question.answers):
            raise ResourceError(
                f"{path}: the question {question.text[:60]!r} has no answer, or a blank one; name "
                f"a sound {source} file"
            )
    return collection


@opens("SQuAD", "squad.json", error=ResourceError, way_out=NAME)
def _squad(path: Path) -> Collection:
    data = read_json(path, error=ResourceError, kind=dict, way_out=NAME)
    articles = [article["paragraphs"] for article in data["data"]]
    documents = sorted({paragraph["context"] for each in articles for paragraph in each})
    places = {text: place for place, text in enumerate(documents)}
    questions = [
        Question(
            asked["question"],
            tuple(answer["text"] for answer in asked["answers"]),
            (own,),
            tuple(place for place in around if place != own),
            (own,),
        )
        for paragraphs in articles
        for around in [[places[paragraph["context"]] for paragraph in paragraphs]]
        for paragraph, own in zip(paragraphs, around, strict=True)
        for asked in paragraph["qas"]
        if not asked["is_impossible"]
    ]
    return Collection(tuple(questions), tuple(documents))


@opens("HotpotQA", "hotpotqa.json", error=ResourceError, way_out=NAME)
def _hotpotqa(path: Path) -> Collection:
    data: list[Any] = read_json(path, error=ResourceError, kind=list, way_out=NAME)
    shown = [
        [(title, f"{title}\n{''.join(text)}") for title, text in row["context"]] for row in data
    ]
    documents = sorted({text for row in shown for _, text in row})
    places = {text: place for place, text in enumerate(documents)}
    questions = []
    for row, titled in zip(data, shown, strict=True):
        facts = {title for title, _ in row.get("supporting_facts", [])}
        own = tuple(places[text] for _, text in titled)
        gold = tuple(places[text] for title, text in titled if title in facts)
        questions.append(Question(row["question"], (row["answer"],), own, (), gold))
    return Collection(tuple(questions), tuple(documents))


_READERS = {"squad": _squad, "hotpotqa": _hotpotqa}


class Qa:
    """One task in one wrapper."""

    def __init__(
        self, collection: Collection, *, template: str, draws: Draws, counter: Counter
    ) -> None:
        self._collection, self._draws, self._counter = collection, draws, counter
        before, after = around_context(template)
        self._before, self._after = before.format(query=""), after
        self._known: dict[int, str | Known] = {}
        draws.documents = tuple(range(len(collection.documents)))

    @property
    def most(self) -> int:
        """There are no more documents than that, however long the context."""
        return len(self._collection.documents)

    def draw(self, index: int, size: int) -> Draft:
        """The prompt of a question with `size` documents."""
        question = self._collection.questions[index]
        shown = self._shuffled(size, question)
        rope: list[str | Part] = [self._before]
        for number, place in enumerate(shown, start=1):
            rope += [f"{_BETWEEN if number > 1 else ''}Document {number}:\n", self._text(place)]
        asked = self._after.format(query=question.text)
        gold = set(question.gold)
        return Draft(
            rope=[*rope, asked],
            answers=question.answers,
            suffix=f" {list(question.answers)}",
            needles=lambda: [
                Needle(self._collection.documents[place], 100 * rank / len(shown), True)
                for rank, place in enumerate(shown)
                if place in gold
            ],
            question=asked,
        )

    def _shuffled(self, size: int, question: Question) -> Sequence[int]:
        """Which documents a prompt shows, in order."""
        present, seed = self._draws.documents, self._draws.seed
        if size >= len(present):
            self._draws.documents = tuple(present[place] for place in order(seed, len(present)))
            return self._draws.documents
        drawn = self._choose(size, question)
        return [present[drawn[place]] for place in order(seed, len(drawn))]

    def _choose(self, size: int, question: Question) -> list[int]:
        """Places in the artifact's list: a question's own documents, those near it, any others."""
        stream, own, near = self._draws.stream, question.own, question.near
        if size < len(own):
            return stream.sample(own, size)
        if size - len(own) < len(near):
            return [*own, *stream.sample(near, size - len(own))]
        others = _Others(self.most, sorted({*own, *near}))
        missing = max(0, size - len(own) - len(near))
        return [*own, *near, *others.sample(stream, missing)]

    def _text(self, place: int) -> str | Known:
        if place not in self._known:
            self._known[place] = self._counter.known(self._collection.documents[place])
        return self._known[place]


@dataclass(frozen=True, slots=True)
class _Others:
    """The places that are not taken, as a list that is never built."""

    places: int
    taken: Sequence[int]

    def sample(self, stream: random.Random, count: int) -> list[int]:
        """Different places, drawn as from the list."""
        gaps = [place - before for before, place in enumerate(self.taken)]
        drawn = stream.sample(range(self.places - len(self.taken)), count)
        return [rank + bisect_right(gaps, rank) for rank in drawn]
