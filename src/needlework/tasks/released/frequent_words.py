"""Coded text whose word frequencies follow a power law, drawn as the artifact draws it.

The artifact has loops of its own here: the context length is compared with the prompt alone, so
prompt and answer together may exceed it.
"""

import math
import string
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from needlework.errors import BudgetError
from needlework.tasks.released.counting import Counter, Rope
from needlework.tasks.released.draws import Draws, last_of_order, order
from needlework.tasks.released.prompts import around_context
from needlework.tasks.released.replay import Draft

KIND = "freq_words_extraction"
_LETTERS = 6
_NOISE = "..."
"""What stands for the most frequent word, which is not asked for."""
_TOKENS_PER_CODE, _STEPS = 50, 32
_ANSWERS = slice(1, 4)


def _zeta(alpha: float) -> float:
    """Riemann's zeta function; its value at 2 is Euler's, and saves loading scipy."""
    if alpha == 2:
        return math.pi**2 / 6
    from scipy.special import zeta

    return float(zeta(alpha))


@lru_cache(maxsize=64)
def _repeats(words: int, codes: int, alpha: float) -> tuple[int, ...]:
    """How often codes come in a text of about `words` words, the most frequent first.

    Those too rare to come at all are left out.
    """
    import numpy as np

    ranks = np.arange(1, codes + 1)
    often = (words * (ranks**-alpha) / _zeta(alpha)).astype(int)
    return tuple(often[often > 0].tolist())


@dataclass(frozen=True, slots=True)
class _Coded:
    """A shuffled text of codes, each after a blank; counted without being written out."""

    codes: Sequence[str]
    tokens: Sequence[int]
    """Of every code, its blank included."""
    repeats: Sequence[int]
    seed: int

    def text(self) -> str:
        """The codes with their blanks."""
        listed = [
            f" {code}"
            for code, times in zip(self.codes, self.repeats, strict=True)
            for _ in range(times)
        ]
        return "".join([listed[place] for place in order(self.seed, len(listed))])

    def ends(self) -> tuple[str, int, str]:
        """Nothing, since what stands before is cut off; all codes but the last; the last one."""
        place = last_of_order(self.seed, sum(self.repeats))
        last = bisect_right(list(accumulate(self.repeats)), place)
        inside = sum(map(int.__mul__, self.tokens, self.repeats)) - self.tokens[last]
        return "", inside, f" {self.codes[last]}"


class FrequentWords:
    """One task in one wrapper."""

    def __init__(
        self, alpha: float, *, template: str, length: int, draws: Draws, counter: Counter
    ) -> None:
        self._alpha, self._length, self._draws, self._counter = alpha, length, draws, counter
        before, after = (part.format(query="") for part in around_context(template))
        assert before.endswith(" "), "the artifact's template has a blank before the codes"
        self._before, self._after = counter.known(before[:-1]), counter.known(after)
        self._question = after
        self._codes = length // _TOKENS_PER_CODE
        self._step = length // _STEPS
        if self._codes < _ANSWERS.stop:
            raise BudgetError(
                f"a context of {length} tokens has {self._codes} codes, too few to ask for three; "
                f"raise the length to {_TOKENS_PER_CODE * _ANSWERS.stop} or more"
            )

    def search(self) -> int:
        """The size at which the artifact starts: the last one before a text is too long."""
        codes = self._draw_codes()
        size = self._length // _LETTERS
        while self._tokens(codes, size) < self._length:
            size += self._step
        return size - self._step

    def samples(self, wanted: int, size: int) -> Iterator[tuple[int, Draft, int]]:
        """Every sample with its tokens: new codes each, then the largest text that fits.

        Raises:
            BudgetError: not even the shortest text does.
        """
        for index in range(wanted):
            codes = self._draw_codes()
            present = size
            tokens = self._tokens(codes, present)
            while tokens > self._length:
                present -= self._step
                if present <= 0:
                    raise BudgetError(
                        f"sample {index} takes {tokens} tokens without any text, but the context "
                        f"is {self._length}; raise the length"
                    )
                tokens = self._tokens(codes, present)
            yield index, self._draft(codes, present), tokens

    def _draw_codes(self) -> list[str]:
        """Different codes in the artifact's order, noise first."""
        stream, letters = self._draws.stream, string.ascii_lowercase
        codes = {"".join(stream.choices(letters, k=_LETTERS)) for _ in range(self._codes)}
        while len(codes) < self._codes:
            codes.add("".join(stream.choices(letters, k=_LETTERS)))
        listed = sorted(codes)
        shuffled = [listed[place] for place in order(self._draws.seed, len(listed))]
        return [_NOISE, *shuffled[1:]]

    def _rope(self, codes: Sequence[str], size: int) -> Rope:
        repeats = _repeats(size, len(codes), self._alpha)
        if not repeats:
            return [self._before, " ", self._after]
        codes = codes[: len(repeats)]
        tokens = self._counter.inners([f" {code}" for code in codes])
        return [self._before, _Coded(codes, tokens, repeats, self._draws.seed), self._after]

    def _tokens(self, codes: Sequence[str], size: int) -> int:
        return self._counter.count([self._rope(codes, size)])[0]

    def _draft(self, codes: Sequence[str], size: int) -> Draft:
        return Draft(
            rope=self._rope(codes, size),
            answers=list(codes[_ANSWERS]),
            suffix="",
            needles=tuple,
            question=self._question,
        )
