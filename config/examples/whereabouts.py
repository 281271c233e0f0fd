"""A task of one's own: somebody takes a thing and walks on with it. Where is it in the end?

Two facts answer it: who has the thing, and where they went last. They lie in the order of the story
between the sentences of a book, among other people with other things. docs/tasks.md walks through
this file.
"""

import random
from dataclasses import dataclass

from needlework.nano import vocabulary
from needlework.tasks import drafts
from needlework.tasks.drafts import Draft, Insert, Outline
from needlework.tasks.material import Growing, Item, Material
from needlework.tasks.prompts import Frame


@dataclass(frozen=True, kw_only=True)
class Language:
    """The words of the story in one language."""

    people: tuple[str, ...]
    things: tuple[str, ...]
    places: tuple[str, ...]
    takes: str
    goes: str
    frame: Frame


ENGLISH = Language(
    people=("Agnes", "Boris", "Clara", "Dylan", "Esther", "Felix", "Gloria", "Hugo", "Irene"),
    things=("basket", "candle", "hammer", "kettle", "ladder", "mirror", "pillow", "umbrella"),
    places=("attic", "bakery", "cellar", "garden", "harbour", "kitchen", "library", "museum"),
    takes="{person} picked up the {thing}.",
    goes="{person} walked to the {place}.",
    frame=Frame(
        head="In the text below people pick things up and carry them about. Keep track of them; a "
        "question follows the text.\n\n",
        question="\n\nQuestion: Where is the {thing} at the end of the text?",
        prefix="\nAnswer: At the end of the text the {thing} is in the",
        between="",
        end=".",
    ),
)
NANO = Language(
    people=vocabulary.PEOPLE,
    things=vocabulary.KEYS,
    places=vocabulary.PLACES,
    takes="the friend of {thing} {person} .",
    goes="the home of {person} {place} .",
    frame=Frame(
        head="",
        question=" where is the home of the friend of {thing} ?",
        prefix=" the home of the friend of {thing}",
        between="",
        end=" .",
    ),
)
LANGUAGES = {"english": ENGLISH, "nano": NANO}


def whereabouts(parameters: dict[str, int], material: Material, item: Item) -> Outline:
    """Outline one sample: `moves` places the thing is carried through, and `others` who mislead."""
    language = LANGUAGES[material.name]
    draws = item.stream("story")
    thing, events, answer = story(language, parameters["moves"], parameters["others"], draws)
    book = material.book(item.budget)
    hay = Growing(book)
    frame = language.frame.fill(thing=thing)

    def compose(size: int) -> Draft:
        """The prompt with so many sentences of the book."""
        units = hay.first(size)
        positions = drafts.scatter([fraction for fraction, _, _ in events], len(units))
        inserts = [
            Insert(position, text, needed)
            for position, (_, text, needed) in zip(positions, events, strict=True)
        ]
        body = drafts.weave(units, inserts, separator=material.wording.hay_separator)
        completion = f" {answer}{frame.end}"
        return drafts.finish(material, frame, body, outputs=[answer], completion=completion)

    return Outline(compose, most=len(book))


def story(
    language: Language, moves: int, others: int, draws: random.Random
) -> tuple[str, list[tuple[float, str, bool]], str]:
    """The thing, what happens, and the answer; of every event its place in the book from 0 to 1,
    what it says, and whether the answer needs it."""
    people = draws.sample(language.people, 1 + others)
    things = draws.sample(language.things, 1 + others)
    places = draws.sample(language.places, moves + others)
    events: list[tuple[float, str, bool]] = []
    for number, (person, thing) in enumerate(zip(people, things, strict=True)):
        own = places[:moves] if number == 0 else [places[moves + number - 1]]
        said = [language.takes.format(person=person, thing=thing)]
        said += [language.goes.format(person=person, place=place) for place in own]
        when = sorted(draws.random() for _ in said)
        needed = [number == 0 and each in (said[0], said[-1]) for each in said]
        events += zip(when, said, needed, strict=True)
    return things[0], sorted(events), places[moves - 1]
