"""In which batches a forest of prefixes is read: parents first, packed by length, freed early.

A pure function, tested without torch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from needlework.cost.room import ALONE_TOKENS, GROUP, LEAST_TOKENS, copied_rows
from needlework.tokenizers.prefixes import BRANCH_COST, Segment


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be in memory at a time."""

    tokens: int
    """Tokens of one forward call, padding included."""
    chunk: int
    """Tokens of one sequence in one forward call."""
    rows: int
    """Sequences of one forward call."""
    states: int
    """States kept for unfinished branches; the path to one more leaf may need a few beyond. With
    none, prompts share nothing."""
    slots: int | None = None
    """Rows of both kinds together, where memory does not hold so many of each; kept branches then
    take the places of answers."""

    prefix: int = 0
    """Tokens before all rows, of which each of them has a copy in a call that reads several."""

    @property
    def total(self) -> int:
        """Rows that are being written, or kept."""
        return self.rows + self.states if self.slots is None else self.slots

    def rows_of(self, longest: int) -> int:
        """Sequences read together when the longest has this many tokens."""
        return max(1, min(self.rows, self.tokens // min(longest, self.chunk)))

    def read_together(self, longest: int) -> int:
        """Sequences of one call at most, however short they are: each has a state beside it."""
        return min(self.copies, max(self.rows // GROUP, self.rows_of(longest)))

    @property
    def copies(self) -> int:
        """Sequences of one call that may have a copy of the prefix each."""
        return copied_rows(self.tokens, self.prefix) if self.prefix else self.rows

    def in_one_call(self, longest: int) -> "Limits":
        """The same, but no sequence of up to `longest` tokens is read in pieces."""
        return replace(self, tokens=max(self.tokens, longest), chunk=max(self.chunk, longest))

    @property
    def halved(self) -> "Limits | None":
        """Half of everything, for when memory ran out; None when nothing is left to halve."""
        tokens = self.tokens // 2
        if tokens < LEAST_TOKENS:
            return None
        rows, states = max(1, self.rows // 2), min(self.states, max(1, self.states // 2))
        slots = None if self.slots is None else max(1, self.slots // 2)
        chunk = min(self.chunk, tokens)
        return replace(self, tokens=tokens, chunk=chunk, rows=rows, states=states, slots=slots)


ALONE = Limits(tokens=ALONE_TOKENS, chunk=ALONE_TOKENS, rows=1, states=1)
"""How a contested row is computed by itself: always in the same pieces."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Segments read together, longest first."""

    segments: tuple[int, ...]
    releases: tuple[int, ...]
    """Segments whose state is not needed once this batch has started."""


def schedule(forest: Sequence[Segment], limits: Limits) -> list[Batch]:
    """Batches in the order in which to run them; every segment once, after its parent.

    Depth first in waves: while fewer than `limits.states` states are kept, branches are read to
    collect leaves, and leaves are read when they fill a batch. Past the bound only the smallest
    open subtree is entered, so a path needs at most log2(prompts) states more.
    """
    return list(_Schedule(forest, limits))


class _Schedule(Iterator[Batch]):
    """What can be read next, and which states wait for their continuations."""

    def __init__(self, forest: Sequence[Segment], limits: Limits) -> None:
        self.forest = forest
        self.limits = limits
        self.children: list[list[int]] = [[] for _ in forest]
        self.waiting: dict[int, int] = {}
        """Kept states, each with the number of continuations that have not started."""
        self.leaves: list[int] = []
        self.branches: list[int] = []
        self.packed: list[list[int]] = []
        """Batches decided on, the next one last."""
        roots: list[int] = []
        for index, segment in enumerate(forest):
            (roots if segment.parent is None else self.children[segment.parent]).append(index)
        self.weight = _prompts_below(forest)
        self._open(roots)

    def __next__(self) -> Batch:
        if not self.packed:
            self._pack_more()
        if not self.packed:
            raise StopIteration
        return self._start(self.packed.pop())

    def _open(self, segments: list[int]) -> None:
        """These can be read from now on; the smallest subtree is entered first."""
        for index in sorted(segments, key=self.weight.__getitem__, reverse=True):
            (self.branches if self.children[index] else self.leaves).append(index)

    def _pack_more(self) -> None:
        room = self.limits.states - len(self.waiting)
        enough = len(self.leaves) >= self.limits.rows or room <= 0 or not self.branches
        if self.leaves and enough:
            batches = pack(self.forest, self.leaves, self.limits)
            # Leaves to come may fill the last batch up.
            partial = len(batches) > 1 and room > 0 and bool(self.branches)
            self.leaves = batches.pop() if partial else []
            self.packed = batches[::-1]
        elif self.branches:
            count = max(1, room)
            self.branches, candidates = self.branches[:-count], self.branches[-count:]
            self.packed = pack(self.forest, candidates, self.limits)[:1]
            self.branches += [index for index in candidates if index not in self.packed[0]]

    def _start(self, rows: list[int]) -> Batch:
        releases = []
        for index in rows:
            above = self.forest[index].parent
            if above is not None:
                self.waiting[above] -= 1
                if not self.waiting[above]:
                    del self.waiting[above]
                    releases.append(above)
            if self.children[index]:
                self.waiting[index] = len(self.children[index])
                self._open(self.children[index])
        return Batch(tuple(rows), tuple(releases))


def most_kept(forest: Sequence[Segment], batches: Sequence[Batch]) -> int:
    """How many segments wait at a time for their continuations, or for rows of equal prompts."""
    branches = {segment.parent for segment in forest}
    kept = most = 0
    for batch in batches:
        many = [index for index in batch.segments if len(forest[index].prompts) > 1]
        going_on = branches.intersection(batch.segments)
        most = max(most, kept + len(going_on.union(many)))
        kept += len(going_on) - len(batch.releases)
    return most


def pack(forest: Sequence[Segment], segments: Sequence[int], limits: Limits) -> list[list[int]]:
    """Segments of similar length together, longest first, as many as the limits allow.

    A new batch begins where the padding it saves on the rows still to come is worth a forward call.
    """
    ordered = sorted(segments, key=lambda index: (-forest[index].length, index))
    batches: list[list[int]] = []
    longest = free = 0
    for position, index in enumerate(ordered):
        length = forest[index].length
        padding = (longest - length) * min(free, len(ordered) - position)
        if not free or padding > BRANCH_COST:
            batches.append([])
            longest, free = length, limits.rows_of(length)
        batches[-1].append(index)
        free -= 1
    return batches


def _prompts_below(forest: Sequence[Segment]) -> list[int]:
    """Prompts that end at or below every segment."""
    weight = [len(segment.prompts) for segment in forest]
    for index in reversed(range(len(forest))):
        above = forest[index].parent
        if above is not None:
            weight[above] += weight[index]
    return weight
