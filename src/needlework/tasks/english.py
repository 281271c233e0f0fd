"""The English material: essays, wonderwords, numbers, UUIDs and questions from files.

Knows which file each part comes from; nothing is read before a task needs it.
"""

import random
import string
import uuid
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType

from needlework import haystacks, words
from needlework.errors import StudyError
from needlework.prompts import ENGLISH
from needlework.resources import Resources, registry
from needlework.tasks.material import Item, Material, Question
from needlework.tasks.questions import from_file

_NAME_LETTERS = 5
_COIN_LETTERS = 6
_COINS = 100_000
_DIGITS = 7


def material(resources: Path, questions: Path | None = None) -> Material:
    """English from the resources in a folder; `questions` is a SQuAD v2 or HotpotQA file.

    Its parts raise a ResourceError when a task first needs one that is absent or another version.
    """
    sources = {
        source: from_file(source, questions) if questions else _unnamed
        for source in ("squad", "hotpotqa")
    }
    return Material(
        name="english",
        wording=ENGLISH,
        draws=MappingProxyType(
            {"words": lambda draws: draws.choice(words.pairs()), "numbers": _number, "uuids": _uuid}
        ),
        names=_name,
        book=_book(Resources(resources, registry())),
        noise=haystacks.NOISE,
        words=cache(words.separable),
        coin=_coin,
        coins=_COINS,
        questions=MappingProxyType(sources),
    )


def _book(resources: Resources) -> Callable[[int], Sequence[str]]:
    """Sentences of the essays; the files are verified when the first are wanted."""

    @cache
    def files() -> tuple[Path, Path]:
        return resources.path("essays"), resources.directory("punkt")

    return lambda tokens: haystacks.essay_sentences(*files(), tokens)


def _number(draws: random.Random) -> str:
    return str(draws.randrange(10 ** (_DIGITS - 1), 10**_DIGITS))


def _uuid(draws: random.Random) -> str:
    return str(uuid.UUID(int=draws.getrandbits(128), version=4))


def _name(draws: random.Random) -> str:
    return "".join(draws.choices(string.ascii_uppercase, k=_NAME_LETTERS))


def _coin(draws: random.Random) -> str:
    return "".join(draws.choices(string.ascii_lowercase, k=_COIN_LETTERS))


def _unnamed(material: Material, _: Item) -> Question:
    raise StudyError(
        f"the {material.name} questions come from a file and none was named; add --questions FILE"
    )
