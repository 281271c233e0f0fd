"""The artifact's two loops: the search for a size, and samples that are drawn until they fit.

Both loops take draws that move all later ones. Where texts must be tokenized whole, several are
drawn ahead and counted at once, and the draws after the last one that counts are taken back.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, count, islice

from needlework.errors import BudgetError
from needlework.tasks.released.counting import Counter, Rope
from needlework.tasks.released.draws import Draws, UnluckyError

_PATIENCE = 1000
"""Draws in a row that may fail at the smallest size; the artifact would go on for ever."""


@dataclass(frozen=True, slots=True)
class Needle:
    """Something put into the haystack."""

    text: str
    depth: float
    """Percent of the haystack before it."""
    answer: bool


@dataclass(frozen=True, slots=True)
class Draft:
    """A prompt of some size."""

    rope: Rope
    answers: Sequence[str]
    suffix: str
    """What the search for a size counts after the prompt: the answer."""
    needles: Callable[[], Sequence[Needle]]
    """In text order."""
    question: str
    """What follows the haystack."""
    others: Callable[[], Sequence[str]] = tuple
    """The values of needles that are not asked for."""


@dataclass(frozen=True)
class Replay:
    """One dataset's loops."""

    draw: Callable[[int, int], Draft]
    """The draft of a question, where the task has them, and a size."""
    draws: Draws
    counter: Counter
    step: int
    budget: int
    """Tokens a prompt may have."""
    first: int = 0
    """What is drawn for the first sample; the search draws for 0 all the same."""
    shrinks: bool = True
    """Whether a sample that does not fit is drawn smaller next time."""

    def search(self, *, most: int | None = None, check: Callable[[int], None] | None = None) -> int:
        """The size at which prompt and answer just fit, as the artifact finds it.

        A size that meets the budget exactly counts as too small, so the result is a step too large.
        `check` sees every size that fits, to refuse one there is no material for.

        Raises:
            BudgetError: the artifact itself stops here with an error.
        """
        sizes = count(self.step, self.step)
        if self.budget <= 0:
            return self.step
        with closing(self._ahead(((0, size) for size in sizes), suffix=True)) as outcomes:
            for (_, size), draft, tokens in outcomes:
                if draft is None:
                    raise BudgetError(
                        f"a haystack of size {size} has no room for what is to be put into it, and "
                        "the artifact stops here too; choose another seed or fewer needles"
                    )
                if tokens > self.budget:
                    return size - self.step
                if check is not None:
                    check(size)
                if most is not None and size + self.step > most:
                    return most
                if tokens == self.budget:
                    return size + self.step
        raise AssertionError("sizes have no end")

    def samples(self, wanted: int, size: int) -> Iterator[tuple[int, Draft, int]]:
        """Every sample with its tokens.

        Raises:
            BudgetError: the smallest haystack does not fit, where the artifact would not end.
        """
        index, present, failures = 0, size, 0
        while index < wanted:
            later = ((self.first + each, size) for each in range(index + 1, wanted))
            attempts = chain([(self.first + index, present)], later)
            with closing(self._ahead(attempts, suffix=False)) as outcomes:
                for _, draft, tokens in outcomes:
                    if draft is None or tokens > self.budget:
                        break
                    yield index, draft, tokens
                    index, present, failures = index + 1, size, 0
            if index == wanted:
                return
            if self.shrinks and present > self.step:
                present -= self.step
            else:
                failures += 1
            if failures > _PATIENCE:
                raise BudgetError(
                    f"sample {index} takes more than the {max(self.budget, 0)} tokens there are "
                    "for a prompt even with the smallest haystack; raise the length"
                )

    def _ahead(
        self, attempts: Iterable[tuple[int, int]], *, suffix: bool
    ) -> Generator[tuple[tuple[int, int], Draft | None, int]]:
        """Draw for every attempt in turn; draws made ahead of the last one taken are undone."""
        waiting = iter(attempts)
        mark = None
        try:
            while batch := list(islice(waiting, self.counter.ahead)):
                drafts, marks = [], []
                for attempt in batch:
                    drafts.append(self._try(*attempt))
                    marks.append(self.draws.mark() if len(batch) > 1 else None)
                ropes = [
                    [] if draft is None else [*draft.rope, draft.suffix] if suffix else draft.rope
                    for draft in drafts
                ]
                tokens = self.counter.count(ropes)
                for attempt, draft, total, place in zip(batch, drafts, tokens, marks, strict=True):
                    mark = place
                    yield attempt, draft, total
                mark = None
        finally:
            if mark is not None:
                self.draws.back(mark)

    def _try(self, index: int, size: int) -> Draft | None:
        try:
            return self.draw(index, size)
        except UnluckyError:
            return None
