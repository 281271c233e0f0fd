"""Questions of SQuAD v2 and HotpotQA as the qa generator needs them.

Every question keeps its own documents: those that answer it, and those its authors meant to
mislead; all others of the file are further hay.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from needlework.errors import ResourceError
from needlework.tasks.material import Growing, Item, Material, Question


@dataclass(frozen=True)
class _Entry:
    """One answerable question; documents are positions in the pool."""

    question: str
    answers: tuple[str, ...]
    gold: tuple[int, ...]
    misleading: tuple[int, ...]


@dataclass(frozen=True)
class _Collection:
    """All questions of a file and all its different documents."""

    entries: tuple[_Entry, ...]
    pool: tuple[str, ...]


def squad(path: Path) -> _Collection:
    """SQuAD v2: one paragraph answers, the other paragraphs of its article mislead."""
    articles = _read(path)["data"]
    pool = _positions(paragraph["context"] for each in articles for paragraph in each["paragraphs"])
    entries = [
        _Entry(
            asked["question"],
            tuple(dict.fromkeys(answer["text"] for answer in asked["answers"])),
            (pool[paragraph["context"]],),
            tuple(
                pool[other["context"]] for other in article["paragraphs"] if other is not paragraph
            ),
        )
        for article in articles
        for paragraph in article["paragraphs"]
        for asked in paragraph["qas"]
        if not asked["is_impossible"]
    ]
    return _Collection(tuple(entries), tuple(pool))


def hotpotqa(path: Path) -> _Collection:
    """HotpotQA in the distractor setting: two documents answer together, eight mislead.

    A question whose answering documents are not among its own cannot be answered and is left out.
    """
    rows = _read(path)
    pool = _positions(_passage(title, parts) for row in rows for title, parts in row["context"])
    entries = []
    for row in rows:
        facts = {title for title, _ in row["supporting_facts"]}
        if not facts <= {title for title, _ in row["context"]}:
            continue
        documents = [
            (title in facts, pool[_passage(title, parts)]) for title, parts in row["context"]
        ]
        entries.append(
            _Entry(
                row["question"],
                (row["answer"],),
                tuple(position for answers, position in documents if answers),
                tuple(position for answers, position in documents if not answers),
            )
        )
    return _Collection(tuple(entries), tuple(pool))


def _passage(title: str, sentences: Sequence[str]) -> str:
    return f"{title}\n{''.join(sentences)}"


def _positions(documents: Iterator[str]) -> dict[str, int]:
    """Every different document with its position."""
    return {text: position for position, text in enumerate(dict.fromkeys(documents))}


def _read(path: Path) -> Any:  # noqa: ANN401 - JSON
    return json.loads(path.read_text(encoding="utf-8"))


_READERS = {"squad": squad, "hotpotqa": hotpotqa}


@cache
def _collection(source: str, path: Path) -> _Collection:
    if not path.is_file():
        raise ResourceError(f"{path}: no questions there; name a file that is there")
    try:
        collection = _READERS[source](path)
    except (KeyError, TypeError, ValueError) as error:
        raise ResourceError(
            f"{path}: not a {source} file ({type(error).__name__}: {error}); name the right one"
        ) from error
    if not collection.entries:
        raise ResourceError(f"{path}: no answerable question in it; name a complete {source} file")
    return collection


def from_file(source: str, path: Path) -> Callable[[Material, Item], Question]:
    """The questions of a file in random order; every sample asks another one while they last."""

    def ask(material: Material, item: Item) -> Question:
        collection = _collection(source, path)
        entry = collection.entries[_order(item, len(collection.entries))]
        return Question(
            question=entry.question,
            answers=entry.answers,
            completion=f" {entry.answers[0]}{material.wording.documents.end}",
            gold=tuple(collection.pool[each] for each in entry.gold),
            others=Growing(_others(collection, entry, item)),
            most=len(collection.pool) - len(set(entry.gold)),
        )

    return ask


def _order(item: Item, questions: int) -> int:
    """Which question an item asks."""
    return _permutation(item.seed, item.address, questions)[item.index % questions]


@cache
def _permutation(seed: int, address: tuple[str | int, ...], questions: int) -> tuple[int, ...]:
    from needlework import rng

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
