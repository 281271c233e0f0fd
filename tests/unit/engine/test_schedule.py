"""The order of work: parents first, packed by length, few states at a time."""

import random
from math import log2

import numpy as np
import pytest

from needlework.engine.schedule import LEAST_TOKENS, Batch, Limits, pack, schedule
from needlework.tokenizers.prefixes import Segment, plan_forest


def limits(*, tokens: int = 64, chunk: int = 64, rows: int = 8, states: int = 4) -> Limits:
    return Limits(tokens=tokens, chunk=chunk, rows=rows, states=states)


def leaf(length: int, parent: int | None = None) -> Segment:
    return Segment(prompt=0, start=0, end=length, parent=parent, prompts=(0,))


def random_forest(seed: int, prompts: int = 60) -> tuple[Segment, ...]:
    """Prompts over two letters share a lot."""
    draws = random.Random(seed)
    tokens = [
        np.array([draws.randrange(2) for _ in range(draws.randrange(1, 40))], dtype=np.int32)
        for _ in range(prompts)
    ]
    return plan_forest(tokens, branch_cost=0)


def kept_states(forest: tuple[Segment, ...], batches: list[Batch]) -> list[int]:
    """How many branch states are kept after every batch."""
    branches = {each.parent for each in forest}
    kept: set[int] = set()
    counts = []
    for batch in batches:
        kept -= set(batch.releases)
        kept |= set(batch.segments) & branches
        counts.append(len(kept))
    return counts


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("states", [1, 4, 1000])
def test_every_segment_is_read_once_and_after_its_parent(seed: int, states: int) -> None:
    forest = random_forest(seed)
    batches = schedule(forest, limits(states=states))
    read: list[int] = []
    for batch in batches:
        assert all(forest[index].parent in {None, *read} for index in batch.segments)
        read += batch.segments
    assert sorted(read) == list(range(len(forest)))


@pytest.mark.parametrize("seed", range(5))
def test_states_are_released_with_their_last_continuation(seed: int) -> None:
    forest = random_forest(seed)
    for states in (1, 16):
        batches = schedule(forest, limits(states=states))
        last_use = {
            forest[index].parent: number
            for number, batch in enumerate(batches)
            for index in batch.segments
        }
        released = {index: number for number, each in enumerate(batches) for index in each.releases}
        last_use.pop(None, None)
        assert released == last_use


@pytest.mark.parametrize("states", [1, 2, 8])
@pytest.mark.parametrize("seed", range(5))
def test_kept_states_stay_near_their_bound(seed: int, states: int) -> None:
    """A path to one leaf may need some more: log2 of the prompts, smallest subtrees first."""
    forest = random_forest(seed)
    most = max(kept_states(forest, schedule(forest, limits(states=states))))
    assert most <= states + log2(60)


def test_a_chain_of_needles_needs_one_state_at_a_time_when_told_so() -> None:
    """Needles ever deeper in one book: each leaf is read before the book goes on."""
    book = list(range(100, 164))
    tokens = [np.array([*book[:at], 1, 2, 3, *book[at:]], dtype=np.int32) for at in range(4, 60, 4)]
    forest = plan_forest(tokens, branch_cost=0)
    assert max(kept_states(forest, schedule(forest, limits(states=1)))) <= 2


def test_leaves_wait_until_they_fill_a_batch() -> None:
    """Reading the chain first and its leaves together is what makes batches large."""
    book = list(range(100, 164))
    tokens = [np.array([*book[:at], 1, 2, 3, *book[:20]], dtype=np.int32) for at in range(4, 60, 4)]
    forest = plan_forest(tokens, branch_cost=0)
    batches = schedule(forest, limits(tokens=1024, rows=14, states=64))
    assert max(len(batch.segments) for batch in batches) == 14


def test_rows_are_packed_longest_first_and_alike() -> None:
    forest = [leaf(length) for length in (3, 60, 58, 4, 59, 2)]
    packed = pack(forest, range(6), limits(tokens=1024))
    assert packed == [[1, 4, 2], [3, 0, 5]]


def test_a_batch_holds_as_many_rows_as_its_longest_allows() -> None:
    forest = [leaf(32)] * 5
    sizes = [len(batch) for batch in pack(forest, range(5), limits(tokens=64))]
    assert sizes == [2, 2, 1]


def test_a_row_longer_than_a_call_is_read_alone() -> None:
    assert limits(tokens=64, chunk=64).rows_of(1000) == 1


def test_halving_ends_where_calls_would_become_tiny() -> None:
    smaller: Limits | None = limits(tokens=4096, chunk=256, rows=64, states=64)
    sizes = []
    while smaller is not None:
        sizes.append((smaller.tokens, smaller.rows))
        smaller = smaller.halved
    assert sizes[0] == (4096, 64)
    assert sizes[-1] == (LEAST_TOKENS, 1)


def test_nothing_to_read_is_an_empty_schedule() -> None:
    assert schedule((), limits()) == []
