"""The English material: essays, wonderwords, numbers, UUIDs and questions from files.

RULER's prompts are read at once, all other files when a task first needs them. Both wordings draw
from the same streams, so a sample asks for the same in either.
"""

import random
import string
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType

from needlework.errors import StudyError
from needlework.external.registry import Resources, registry
from needlework.tasks import haystacks, ruler, words
from needlework.tasks.material import Draw, Item, Material, Question
from needlework.tasks.prompts import ENGLISH, WordingName
from needlework.tasks.questions import from_file

_NAME_LETTERS, _EXAMPLE_NAME_LETTERS = 5, 3
_COIN_LETTERS = 6
_COINS = 100_000
_DIGITS, _HELD_DIGITS = 7, 5


def material(
    resources: Path, questions: Path | None = None, *, wording: WordingName = "ruler"
) -> Material:
    """English from the resources in a folder; `questions` is a SQuAD v2 or HotpotQA file.

    Its parts raise a ResourceError when a task first needs one that is absent or another version.

    Raises:
        ResourceError: RULER's prompts are not there, or another version.
    """
    folder = Resources(resources, registry())
    says, noise = (
        (ENGLISH, haystacks.NOISE) if wording == "plain" else ruler.wording_and_noise(folder)
    )
    sources = {
        source: from_file(source, questions) if questions else _unnamed
        for source in ("squad", "hotpotqa")
    }
    return Material(
        name="english",
        wording=says,
        draws=DRAWS,
        names=lambda draws: _letters(draws, _NAME_LETTERS),
        example_names=lambda draws: _letters(draws, _EXAMPLE_NAME_LETTERS),
        held=lambda draws: _number(draws, _HELD_DIGITS),
        book=_book(folder),
        noise=noise,
        words=cache(words.separable),
        coin=_coin,
        coins=_COINS,
        questions=MappingProxyType(sources),
    )


def _book(resources: Resources) -> Callable[[int], Sequence[str]]:
    """Sentences of the essays; the files are verified at the first use."""

    @cache
    def files() -> tuple[Path, Path]:
        return resources.path("essays"), resources.directory("punkt")

    return lambda tokens: haystacks.essay_sentences(*files(), tokens)


def _number(draws: random.Random, digits: int = _DIGITS) -> str:
    return str(draws.randrange(10 ** (digits - 1), 10**digits))


def _uuid(draws: random.Random) -> str:
    return str(uuid.UUID(int=draws.getrandbits(128), version=4))


def _letters(draws: random.Random, count: int) -> str:
    return "".join(draws.choices(string.ascii_uppercase, k=count))


def _coin(draws: random.Random) -> str:
    return "".join(draws.choices(string.ascii_lowercase, k=_COIN_LETTERS))


def _unnamed(material: Material, _: Item) -> Question:
    raise StudyError(
        f"the {material.name} questions come from a file and none was named; add --questions FILE"
    )


DRAWS: Mapping[str, Draw] = MappingProxyType(
    {"words": lambda draws: draws.choice(words.pairs()), "numbers": _number, "uuids": _uuid}
)
"""How a key or value of each kind is drawn."""
