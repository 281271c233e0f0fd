"""Documents of facts about people, and questions that need one fact or two.

A document states two facts of one person and ends with a sentence that states nothing, so that a
question needs both the person and the relation.
"""

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from needlework.nano.vocabulary import JOBS, PEOPLE, PLACES
from needlework.tasks.material import Growing, Item, Material, Question


@dataclass(frozen=True)
class _Person:
    """What is true of one person."""

    name: str
    home: str
    work: str
    friend: str


def _people(draws: random.Random) -> list[_Person]:
    """Everybody, in random order; everybody is somebody else's friend."""
    names = draws.sample(PEOPLE, len(PEOPLE))
    return [
        _Person(name, draws.choice(PLACES), draws.choice(JOBS), names[each - 1])
        for each, name in enumerate(names)
    ]


def _state(relation: str, person: _Person) -> str:
    return f"the {relation} of {person.name} {getattr(person, relation)} ."


def _documents(
    people: Sequence[_Person], relations: Sequence[str], closing: Iterator[str]
) -> Iterator[str]:
    """One document a person, again and again: the facts stay, the closing sentence changes."""
    for person in itertools.cycle(people):
        yield " ".join([*(_state(relation, person) for relation in relations), next(closing)])


def _gold(
    people: Sequence[_Person], relations: Sequence[str], closing: Iterator[str]
) -> tuple[str, ...]:
    """Exactly one document a person."""
    return tuple(itertools.islice(_documents(people, relations, closing), len(people)))


def _closing(material: Material, item: Item) -> Iterator[str]:
    """Sentences of the book in random order, without end."""
    book = material.book(item.budget)
    draws = item.stream("closing")
    while True:
        yield draws.choice(book)


def facts(material: Material, item: Item) -> Question:
    """Where does somebody live, or what is their work? One document says it."""
    draws = item.stream("facts")
    first, *rest = _people(draws)
    relation = draws.choice(("home", "work"))
    closing = _closing(material, item)
    answer = getattr(first, relation)
    return Question(
        question=f"what is the {relation} ?",
        prefix=f"the {relation} of {first.name}",
        answers=(answer,),
        completion=f" {answer} .",
        gold=_gold([first], ("home", "work"), closing),
        others=Growing(_documents(rest, ("home", "work"), closing)),
        most=item.budget,
    )


def linked_facts(material: Material, item: Item) -> Question:
    """Where does the friend of somebody live? Two documents say it together."""
    first, *rest, friend = _people(item.stream("facts"))
    closing = _closing(material, item)
    return Question(
        question="where is the home of the friend ?",
        prefix=f"the friend of {first.name}",
        answers=(friend.home,),
        completion=f" {friend.name} . {_state('home', friend)}",
        gold=_gold([first, friend], ("home", "friend"), closing),
        others=Growing(_documents(rest, ("home", "friend"), closing)),
        most=item.budget,
    )
