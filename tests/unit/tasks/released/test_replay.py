"""The two loops: which size is found, what failures cost, and that looking ahead is safe."""

from collections.abc import Sequence

import pytest

from needlework.errors import BudgetError
from needlework.tasks.released.counting import Counter, Rope
from needlework.tasks.released.draws import Draws, UnluckyError
from needlework.tasks.released.replay import Draft, Replay


class Fake(Counter):
    """Counts the number that a rope consists of."""

    def __init__(self, ahead: int) -> None:
        self._ahead = ahead

    @property
    def ahead(self) -> int:
        return self._ahead

    def count(self, ropes: Sequence[Rope]) -> list[int]:
        return [int(str(rope[0])) if rope else 0 for rope in ropes]


def loops(
    budget: int, *, ahead: int = 1, noise: int = 0, shrinks: bool = True, unlucky: int = -1
) -> Replay:
    """Prompts of ten tokens per unit of size and up to `noise` more, which are drawn."""
    draws = Draws(1)

    def draw(_: int, size: int) -> Draft:
        extra = draws.stream.randint(0, noise)
        if size == unlucky:
            raise UnluckyError
        return Draft([str(10 * size + extra)], ["answer"], "", tuple, "?")

    return Replay(draw, draws, Fake(ahead), 1, budget, shrinks=shrinks)


def test_the_largest_size_that_fits_is_found() -> None:
    assert loops(47).search() == 4


def test_a_size_that_fits_exactly_counts_as_too_small() -> None:
    """The artifact's loop then ends one step too far, and its samples shrink again."""
    replay = loops(40)
    assert replay.search() == 5
    assert [tokens for _, _, tokens in replay.samples(2, 5)] == [40, 40]


def test_without_any_budget_the_first_size_is_kept() -> None:
    assert loops(0).search() == 1


def test_the_largest_size_there_is_ends_the_search() -> None:
    assert loops(1000).search(most=7) == 7


def test_a_search_that_cannot_be_drawn_is_an_error() -> None:
    with pytest.raises(BudgetError, match="the artifact stops here too"):
        loops(100, unlucky=3).search()


def test_a_sample_that_never_fits_is_an_error() -> None:
    """The artifact would draw for ever."""
    with pytest.raises(BudgetError, match="even with the smallest haystack"):
        list(loops(5).samples(1, 4))


def test_a_failure_moves_all_later_draws() -> None:
    """Draws are not rolled back when a sample does not fit."""
    steady = [tokens for _, _, tokens in loops(1000, noise=9).samples(3, 5)]
    shrunk = [tokens for _, _, tokens in loops(55, noise=9).samples(3, 5)]
    assert shrunk != steady


@pytest.mark.parametrize("ahead", [2, 3, 8])
@pytest.mark.parametrize("shrinks", [True, False])
def test_looking_ahead_changes_nothing(ahead: int, shrinks: bool) -> None:
    def run(ahead: int) -> tuple[int, list[int], float]:
        replay = loops(204, ahead=ahead, noise=9, shrinks=shrinks)
        size = replay.search()
        tokens = [each for _, _, each in replay.samples(20, size)]
        return size, tokens, replay.draws.stream.random()

    assert run(ahead) == run(1)
