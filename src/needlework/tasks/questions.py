"""Questions of SQuAD v2 and HotpotQA as the qa generator needs them.

Every question keeps its own documents: those that answer it, and those its authors meant to
mislead; all others of the file are further hay.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from needlework import rng
from needlework.door import opens, read_json
from needlework.errors import ResourceError
from needlework.tasks.material import Growing, Item, Material, Question

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Entry:
    """One answerable question; documents are positions in the pool."""

    question: str
    answers: tuple[str, ...]
    gold: tuple[int, ...]
    misleading: tuple[int, ...]


@dataclass(frozen=True)
class _Collection:
    """All questions of a file that can be asked, and all its different documents."""

    entries: tuple[_Entry, ...]
    pool: tuple[str, ...]
    left_out: int = 0
    """Questions that should have an answer, but have none that a text could hold."""


def squad(path: Path) -> _Collection:
    """SQuAD v2: one paragraph answers, the other paragraphs of its article mislead.

    A question that its authors call impossible is none; SQuAD v1 has no such.
    """
    articles = read_json(path, error=ResourceError, kind=dict)["data"]
    pool = _positions(paragraph["context"] for each in articles for paragraph in each["paragraphs"])
    entries = [
        _Entry(
            asked["question"],
            _references(answer["text"] for answer in asked["answers"]),
            (pool[paragraph["context"]],),
            tuple(
                pool[other["context"]] for other in article["paragraphs"] if other is not paragraph
            ),
        )
        for article in articles
        for paragraph in article["paragraphs"]
        for asked in paragraph["qas"]
        if not asked.get("is_impossible")
    ]
    return _collected(entries, pool)


def hotpotqa(path: Path) -> _Collection:
    """HotpotQA in the distractor setting: two documents answer together, eight mislead.

    A question whose answering documents are not among its own cannot be answered and is left out.
    """
    rows = read_json(path, error=ResourceError, kind=list)
    pool = _positions(_passage(title, parts) for row in rows for title, parts in row["context"])
    entries, lost = [], 0
    for row in rows:
        facts = {title for title, _ in row["supporting_facts"]}
        if not facts <= {title for title, _ in row["context"]}:
            lost += 1
            continue
        documents = [
            (title in facts, pool[_passage(title, parts)]) for title, parts in row["context"]
        ]
        entries.append(
            _Entry(
                row["question"],
                _references([row["answer"]]),
                tuple(position for answers, position in documents if answers),
                tuple(position for answers, position in documents if not answers),
            )
        )
    return _collected(entries, pool, lost=lost)


def _references(texts: Iterable[object]) -> tuple[str, ...]:
    """Each different reference once; a blank one stands in every answer, so it is none."""
    return tuple(dict.fromkeys(each for each in texts if isinstance(each, str) and each.strip()))


def _collected(entries: Sequence[_Entry], pool: dict[str, int], *, lost: int = 0) -> _Collection:
    """The questions that can be asked: in words, and with an answer."""
    sound = [each for each in entries if each.answers and _is_text(each.question)]
    left_out = len(entries) - len(sound) + lost
    return _Collection(tuple(sound), tuple(pool), left_out)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _passage(title: str, sentences: Sequence[str]) -> str:
    return f"{title}\n{''.join(sentences)}"


def _positions(documents: Iterator[str]) -> dict[str, int]:
    """Every different document with its position.

    Raises:
        TypeError: one is no text.
    """
    found = dict.fromkeys(documents)
    for text in found:
        if not isinstance(text, str):
            raise TypeError(f"a document is {text!r}, which is no text")
    return {text: position for position, text in enumerate(found)}


_READERS: dict[str, Callable[[Path], _Collection]] = {
    "squad": opens("SQuAD", "squad.json", error=ResourceError, way_out="name the right file")(
        squad
    ),
    "hotpotqa": opens(
        "HotpotQA", "hotpotqa.json", error=ResourceError, way_out="name the right file"
    )(hotpotqa),
}


@cache
def _collection(source: str, path: Path) -> _Collection:
    if not path.is_file():
        raise ResourceError(f"{path}: no questions there; name a file that is there")
    collection = _READERS[source](path)
    if collection.left_out:
        asked = len(collection.entries) + collection.left_out
        log.warning(
            "%s: %d of %d questions are left out, which have no answer in words, or whose "
            "documents are not there",
            *(path, collection.left_out, asked),
        )
    if not collection.entries:
        raise ResourceError(f"{path}: no answerable question in it; name a complete {source} file")
    return collection


def from_file(source: str, path: Path) -> Callable[[Material, Item], Question]:
    """The questions of a file in random order; every sample asks another one while they last."""

    def ask(material: Material, item: Item) -> Question:
        collection = _collection(source, path)
        order = _permutation(item.seed, item.address, len(collection.entries))
        entry = collection.entries[order[item.index % len(order)]]
        return Question(
            question=entry.question,
            answers=entry.answers,
            completion=f" {entry.answers[0]}{material.wording.documents.end}",
            gold=tuple(collection.pool[each] for each in entry.gold),
            others=Growing(_others(collection, entry, item)),
            most=len(collection.pool) - len(set(entry.gold)),
            choices=len(collection.entries),
        )

    return ask


@cache
def _permutation(seed: int, address: tuple[str | int, ...], questions: int) -> tuple[int, ...]:
    """In which order questions are asked."""
    return tuple(rng.stream(seed, *address, "questions").sample(range(questions), questions))


def _others(collection: _Collection, entry: _Entry, item: Item) -> Iterator[str]:
    """The misleading documents and then all others, each in random order and each once."""
    draws = item.stream("documents")
    seen = set(entry.gold)
    for position in draws.sample(entry.misleading, len(entry.misleading)):
        if position not in seen:
            seen.add(position)
            yield collection.pool[position]
    while len(seen) < len(collection.pool):
        position = draws.randrange(len(collection.pool))
        if position not in seen:
            seen.add(position)
            yield collection.pool[position]
