"""Which tokens of a cell are read once for many prompts: a forest of shared prefixes, no torch.

Everything here is a pure function of its arguments, so a plan can be tested, counted and costed
without running it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.int32]
"""The token ids of one prompt."""

BRANCH_COST = 64
"""What a forward call costs beside its tokens, in tokens.

Keeping a branch means one more call, one kept state and its copies. A nano model on a CPU needs
1 to 2 ms for that and reads about 40 tokens in a millisecond; on a GPU the ratio is higher still.
"""


@dataclass(frozen=True, slots=True)
class Segment:
    """Tokens [start, end) of `prompt`, read after the segment `parent` (None: from nothing)."""

    prompt: int
    """The first prompt that holds these tokens; the cell's accounts charge them to it."""
    start: int
    end: int
    parent: int | None
    prompts: tuple[int, ...]
    """Prompts that end with this segment."""

    @property
    def length(self) -> int:
        """Tokens to read."""
        return self.end - self.start


def plan_forest(
    prompts: Sequence[Tokens], *, branch_cost: float = BRANCH_COST
) -> tuple[Segment, ...]:
    """The prompts as segments, parents before children; the same prompts give the same forest.

    A branch is kept where doing without has cost as much as keeping it: walking down from the last
    kept branch, every dropped one makes all but one of its continuations read some tokens again;
    when those tokens add up to `branch_cost` the next branch is kept. For evenly spaced branches
    that is the spacing with the least total cost.
    """
    trie = _Trie(prompts)
    keeps = _kept_branches(trie, branch_cost)
    order = sorted(keeps, key=lambda node: (trie.end[node], node))
    segment_of = {node: index for index, node in enumerate(order)}
    return tuple(
        Segment(
            prompt=trie.first[node],
            start=trie.end_of(keeps[node]),
            end=trie.end[node],
            parent=None if (above := keeps[node]) is None else segment_of[above],
            prompts=tuple(trie.prompts[node]),
        )
        for node in order
    )


def plan_separately(prompts: Sequence[Tokens]) -> tuple[Segment, ...]:
    """Every prompt read from its start, for itself."""
    return tuple(
        Segment(prompt=index, start=0, end=len(tokens), parent=None, prompts=(index,))
        for index, tokens in enumerate(prompts)
    )


def computed_tokens(forest: Sequence[Segment], count: int) -> list[int]:
    """Tokens charged to each of `count` prompts: every segment once, to the first that holds it.

    This depends on the cell alone, not on batches or on what a journal already holds.
    """
    computed = [0] * count
    for segment in forest:
        computed[segment.prompt] += segment.length
    return computed


class Reading:
    """How much of a forest has been read, as far as the prompts that are finished tell."""

    def __init__(self, forest: Sequence[Segment]) -> None:
        self._forest = forest
        self._last = {prompt: index for index, each in enumerate(forest) for prompt in each.prompts}
        self._read: set[int] = set()

    def finish(self, prompt: int) -> int:
        """Tokens that were read for this prompt and for none that finished before it."""
        tokens, index = 0, self._last.get(prompt)
        while index is not None and index not in self._read:
            self._read.add(index)
            tokens += self._forest[index].length
            index = self._forest[index].parent
        return tokens


class _Trie:
    """A compressed prefix tree; node lists are parallel, parents may come after children."""

    def __init__(self, prompts: Sequence[Tokens]) -> None:
        self.end: list[int] = []
        self.parent: list[int | None] = []
        self.first: list[int] = []
        self.prompts: list[list[int]] = []
        # Big-endian bytes compare like the numbers, at the speed of memcmp.
        keys = [np.asarray(tokens).astype(">u4").tobytes() for tokens in prompts]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        path: list[int] = []
        previous: int | None = None
        for prompt in order:
            shared = 0 if previous is None else _common(prompts[previous], prompts[prompt])
            self._leave(path, shared)
            if path and self.end[path[-1]] == len(prompts[prompt]):
                self.prompts[path[-1]].append(prompt)
            else:
                path.append(self._add(len(prompts[prompt]), path[-1] if path else None, [prompt]))
            previous = prompt
        self._name_after_first(len(prompts))

    def end_of(self, node: int | None) -> int:
        """Tokens read when `node` ends; None is where every prompt starts."""
        return 0 if node is None else self.end[node]

    def _leave(self, path: list[int], shared: int) -> None:
        """Go up to where the next prompt parts from the path; split the edge it parts from."""
        last = None
        while path and self.end[path[-1]] > shared:
            last = path.pop()
        if last is not None and shared > self.end_of(path[-1] if path else None):
            branch = self._add(shared, path[-1] if path else None, [])
            self.parent[last] = branch
            path.append(branch)

    def _add(self, end: int, parent: int | None, prompts: list[int]) -> int:
        self.end.append(end)
        self.parent.append(parent)
        self.prompts.append(prompts)
        return len(self.end) - 1

    def _name_after_first(self, count: int) -> None:
        """Give every node the smallest of `count` prompts at or below it.

        Equal prompts share a node, so there may be fewer nodes than prompts.
        """
        self.first = [min(prompts, default=count) for prompts in self.prompts]
        for node in sorted(range(len(self.end)), key=self.end.__getitem__, reverse=True):
            above = self.parent[node]
            if above is not None:
                self.first[above] = min(self.first[above], self.first[node])


def _common(left: Tokens, right: Tokens) -> int:
    """How many tokens two prompts share from their start."""
    count = min(len(left), len(right))
    differs = left[:count] != right[:count]
    return int(differs.argmax()) if differs.any() else count


def _kept_branches(trie: _Trie, branch_cost: float) -> dict[int, int | None]:
    """Every node worth a segment of its own, with the kept node it continues."""
    nodes = sorted(range(len(trie.end)), key=trie.end.__getitem__)
    children = [0] * len(nodes)
    for above in trie.parent:
        if above is not None:
            children[above] += 1
    keeps: dict[int, int | None] = {}
    base: list[int | None] = [None] * len(nodes)
    debt = [0] * len(nodes)
    for node in nodes:
        above = trie.parent[node]
        if above is not None:
            base[node] = above if above in keeps else base[above]
            debt[node] = 0 if above in keeps else debt[above]
        debt[node] += (trie.end[node] - trie.end_of(base[node])) * (children[node] - 1)
        if trie.prompts[node] or debt[node] >= branch_cost:
            keeps[node] = base[node]
    return keeps
