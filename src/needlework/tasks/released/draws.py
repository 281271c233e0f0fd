"""The artifact's random draws, which can be taken back.

One stream serves search and samples, so every draw moves all later ones; shuffles start a stream of
their own from the same seed each time, so equal sizes are permuted equally (hazard H10).
"""

import random
import uuid
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from needlework.errors import StudyError

if TYPE_CHECKING:
    from numpy.random import RandomState

_HIGHEST_SEED = 2**32 - 1


class UnluckyError(Exception):
    """A draw that cannot be carried out; the artifact then draws again."""


class Draws:
    """The streams that `random.seed` and `numpy.random.seed` start in the artifact."""

    def __init__(self, seed: int) -> None:
        if not 0 <= seed <= _HIGHEST_SEED:
            raise StudyError(f"--seed: {seed} is outside 0..{_HIGHEST_SEED}, what numpy accepts")
        self.seed = seed
        self.stream = random.Random(seed)
        self._numbers: RandomState | None = None
        self.documents: tuple[int, ...] = ()
        """The document at every place of the artifact's list, which some draws shuffle."""

    @property
    def numbers(self) -> "RandomState":
        """The stream of numpy, started when a task first draws from it."""
        if self._numbers is None:
            from numpy.random import RandomState

            self._numbers = RandomState(self.seed)
        return self._numbers

    def mark(self) -> Any:  # noqa: ANN401 - opaque
        """The present place, to come back to."""
        numbers = self._numbers
        later = None if numbers is None else numbers.get_state()
        return self.stream.getstate(), later, self.documents

    def back(self, mark: Any) -> None:  # noqa: ANN401 - opaque
        """Forget every draw since `mark`."""
        stream, numbers, self.documents = mark
        self.stream.setstate(stream)
        if numbers is None:
            self._numbers = None
        else:
            self.numbers.set_state(numbers)


@lru_cache(maxsize=32)
def order(seed: int, size: int) -> tuple[int, ...]:
    """Where each item of a list of `size` comes from when it is shuffled from `seed`."""
    places = list(range(size))
    random.Random(seed).shuffle(places)
    return tuple(places)


def last_of_order(seed: int, size: int) -> int:
    """The last entry of `order`, which the shuffle decides with its first draw."""
    return random.Random(seed).randrange(size) if size > 1 else 0


def number(stream: random.Random) -> str:
    """Seven digits."""
    return str(stream.randint(10**6, 10**7 - 1))


def identifier(stream: random.Random) -> str:
    """A UUID."""
    return str(uuid.UUID(int=stream.getrandbits(128), version=4))
