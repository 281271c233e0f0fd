"""Which rows of a decoder's storage are free: answers stand at its front, kept branches at its end.

A prompt is read into the first free row behind the answers, so that rows in step with each other
always lie side by side; when answers finish, the last rows move into the places of those.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from needlework.engine.memory import DoesNotFitError, out_of_memory_after
from needlework.models.decoder import Decoder
from needlework.models.slots import DecoderSlots
from needlework.models.state import DecoderState

EndStates = Callable[[int, int], DecoderState]
"""The states at the ends of some prompts, from one row up to another, to be read on from.

What is read on lies where the answer will, and is overwritten by it, so that each call ends the
states of those before.
"""


class Behind(NamedTuple):
    """What all rows go on from."""

    tokens: int
    """How many have been read."""
    state: DecoderState | None
    """Of a single row; None where nothing has been read."""


NOTHING_READ = Behind(0, None)


class Slots:
    """Storage for `answers` rows, and beyond them for `kept` branches while there are `total`."""

    def __init__(
        self,
        decoder: Decoder,
        *,
        answers: int,
        kept: int,
        total: int,
        prompt: int,
        answer: int,
        behind: Behind | None = None,
    ) -> None:
        """Room for a prompt and an answer of so many tokens in every row.

        Where rows go on from a prefix, only tokens behind it are counted.

        Raises:
            DoesNotFitError: there is not so much memory.
        """
        self.decoder = decoder
        self.behind = behind or NOTHING_READ
        self.total = max(1, min(answers + kept, total))
        self.answers = min(answers, self.total)
        self.answer = answer
        self.columns = prompt + answer
        self.used = 0
        """Rows at the front that hold answers, or prompts about to be answered."""
        self._kept: set[int] = set()
        self._lowest_kept = self.total - min(kept, self.total // 2)
        self.storage = _made(decoder, self.total, prompt, answer, self.behind.tokens)

    @property
    def places(self) -> int:
        """Answers that can be written together while these branches are kept."""
        return min([self.answers, *self._kept])

    @property
    def room(self) -> int:
        """Prompts that can be read now."""
        return max(0, self.places - self.used)

    @property
    def room_kept(self) -> int:
        """Branches that can be read together now."""
        longest = run = 0
        for row in range(max(self._lowest_kept, self.used), self.total):
            run = 0 if row in self._kept else run + 1
            longest = max(longest, run)
        return longest

    def begin(self, before: Sequence[DecoderState | None]) -> DecoderState:
        """Rows behind the answers that go on from these states, or from nothing.

        They count as answers from now on.
        """
        start, self.used = self.used, self.used + len(before)
        assert self.used <= min([self.total, *self._kept])
        return self.storage.begin(start, self._states(before))

    def begin_kept(self, before: Sequence[DecoderState | None]) -> tuple[DecoderState, int | None]:
        """Rows at the end that go on so, and the first of them.

        Where too few of them are free next to each other (`room_kept`), they are no slots: then the
        rows lie wherever there is memory, which was not planned for.
        """
        states = self._states(before)
        start = self._free_end(len(before))
        if start is None:
            return type(states[0]).stack(states), None
        self._kept |= set(range(start, start + len(before)))
        return self.storage.begin(start, states), start

    def release(self, slot: int, *, spoiled: bool = False) -> None:
        """A branch that has been kept is no longer needed; it may hold what is no number."""
        self._kept.remove(slot)
        self.storage.clear(slot)
        if spoiled:
            self.storage.wipe(slot, slot + 1)

    def compact(self, state: DecoderState, order: Sequence[int]) -> None:
        """Keep these rows of the answers' state, side by side; all others are free again."""
        self.storage.keep(state, order)
        self.used = len(order)

    def _states(self, before: Sequence[DecoderState | None]) -> list[DecoderState]:
        """A state of one row for each; one for all where nothing has been read before any."""
        first = self.behind.state
        if first is None and not any(state is not None for state in before):
            return [self.decoder.init_state(len(before))]
        nothing = self.decoder.init_state(1) if first is None else first
        return [nothing if state is None else state for state in before]

    def _free_end(self, count: int) -> int | None:
        """The last place for so many rows that no branch has, and no answer will ever need."""
        lowest = max(self._lowest_kept, self.used)
        for start in range(self.total - count, lowest - 1, -1):
            if self._kept.isdisjoint(range(start, start + count)):
                return start
        return None


def _made(decoder: Decoder, rows: int, prompt: int, answer: int, begun: int) -> DecoderSlots:
    """The storage; where there is no memory for one row, says how many tokens there is room for."""
    try:
        with out_of_memory_after(0):
            return decoder.slots(rows, prompt + answer, answer, begun)
    except DoesNotFitError:
        if rows > 1:
            raise
    fits = prompt
    while fits:
        fits //= 2
        with suppress(DoesNotFitError), out_of_memory_after(0):
            decoder.slots(1, fits + answer, answer, begun)
            break
    raise DoesNotFitError(fits)
