"""What a nano model reads while it learns: short exercises first, the study's tasks last.

Every sequence has an address (stage, step, row), so a run that continues reads what it would have
read. The exercises teach what all tasks rest on - copying, and the value behind a key - because
retrieval among several keys is not found by gradient descent on long prompts alone.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from needlework import rng
from needlework.errors import BudgetError
from needlework.nano import language
from needlework.nano.vocabulary import CODES, IDS, KEYS, NUMBERS, PEOPLE, PLACES, WORDS
from needlework.tasks.specs import Spec

Row = tuple[list[int], list[bool]]
"""Token ids, and which of them answer something."""


@dataclass(frozen=True)
class Stage:
    """Some steps at one length; shares of copying and of recall, the study's tasks for the rest."""

    length: int
    steps: int
    copying: float
    recall: float


STAGES = (
    Stage(length=24, steps=300, copying=0.4, recall=0.6),
    Stage(length=48, steps=200, copying=0.15, recall=0.35),
    Stage(length=96, steps=600, copying=0.1, recall=0.15),
    Stage(length=256, steps=2000, copying=0.03, recall=0.07),
)
"""About 6.3 million tokens; the length is the token budget of a row."""

WEIGHTS = {
    "niah_single_1": 0.5,
    "niah_single_2": 0.7,
    "niah_single_3": 1.0,
    "niah_multikey_1": 1.0,
    "niah_multikey_2": 1.0,
    "niah_multikey_3": 1.5,
    "niah_multivalue": 1.5,
    "niah_multiquery": 1.5,
    "vt": 1.0,
    "cwe": 1.5,
    "fwe": 1.0,
    "qa_1": 1.5,
    "qa_2": 1.5,
}
"""How often each task is met, relative to the others: more often what is learnt more slowly."""


@dataclass(frozen=True)
class Curriculum:
    """The tasks to learn; those of `WEIGHTS`."""

    tasks: Mapping[str, Spec]

    @property
    def vocabulary(self) -> int:
        """Token ids of the nano language."""
        return len(IDS)

    def rows(self, stage: Stage, step: int, seed: int, count: int) -> list[Row]:
        """The rows of one training step, the same whenever and for whichever model."""
        return [self._row(stage, seed, ("train", stage.length, step, row)) for row in range(count)]

    def validation(self, task: str, seed: int, count: int) -> list[Row]:
        """Rows of one task at the full length that no training step has."""
        length = STAGES[-1].length
        return [
            _as_row(self._item(task, length, seed, ("validate", task, row))) for row in range(count)
        ]

    def _row(self, stage: Stage, seed: int, address: tuple[str | int, ...]) -> Row:
        draws = rng.stream(seed, *address)
        choice = draws.random()
        if choice < stage.copying:
            return copying(draws, stage.length)
        if choice < stage.copying + stage.recall:
            return recall(draws, stage.length)
        for task in draws.choices(list(WEIGHTS), list(WEIGHTS.values()), k=len(WEIGHTS)):
            try:
                return _as_row(self._item(task, stage.length, seed, (*address, task)))
            except BudgetError:
                continue  # The task cannot be asked in so few tokens; another one can.
        return recall(draws, stage.length)

    def _item(
        self, task: str, length: int, seed: int, address: tuple[str | int, ...]
    ) -> language.TrainingItem:
        return language.training_item(self.tasks[task], length=length, seed=seed, address=address)


def _as_row(item: language.TrainingItem) -> Row:
    marks = [False] * len(item.prompt) + [True] * len(item.completion)
    return item.prompt + item.completion, marks


def copying(draws: random.Random, length: int) -> Row:
    """A passage of random words again and again; all but its first passage are answers."""
    period = draws.randint(3, length // 2)
    passage = [IDS[word] for word in draws.choices(KEYS + NUMBERS + CODES + WORDS, k=period)]
    tokens = [language.BEGIN, *(passage * (length // period + 1))][:length]
    return tokens, [False] * (period + 1) + [True] * (length - period - 1)


def recall(draws: random.Random, length: int) -> Row:
    """Statements about a few keys, some of them repeated; a repeated value is an answer."""
    noun, keys, values = draws.choice(
        [
            ("magic number", KEYS, NUMBERS),
            ("magic code", KEYS, CODES),
            ("home", PEOPLE, PLACES),
            ("friend", PEOPLE, PEOPLE),
        ]
    )
    pool = draws.sample(keys, draws.randint(2, max(2, min(32, length // 16))))
    value_of = {key: draws.choice(values) for key in pool}
    brief = draws.random() < 0.5
    tokens, marks = [language.BEGIN], [False]
    seen: set[str] = set()
    while len(tokens) < length:
        key = draws.choice(pool)
        before = key if brief else f"the {noun} of {key}"
        said = [*language.tokens(before), IDS[value_of[key]], IDS["."]]
        tokens += said
        marks += [False] * (len(said) - 2) + [key in seen, False]
        seen.add(key)
    return tokens[:length], marks[:length]
