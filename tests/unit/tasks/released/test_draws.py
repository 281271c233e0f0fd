"""Draws that can be taken back, and shuffles that start anew each time."""

import random

import numpy as np
import pytest

from needlework.errors import StudyError
from needlework.tasks.released import draws, niah
from needlework.tasks.released.draws import Draws


def test_both_streams_are_those_that_the_artifact_seeds() -> None:
    random.seed(42)
    np.random.seed(42)
    made = Draws(42)
    assert made.stream.random() == random.random()
    assert made.numbers.randint(10_000, 99_999) == np.random.randint(10_000, 99_999)


def test_draws_are_taken_back() -> None:
    """Also numpy's first one, before which its stream did not exist."""
    made = Draws(7)
    mark = made.mark()
    first = (made.stream.random(), made.numbers.randint(0, 1000))
    made.back(mark)
    assert (made.stream.random(), made.numbers.randint(0, 1000)) == first


@pytest.mark.parametrize("size", [0, 1, 2, 3, 50, 1001])
def test_a_shuffle_is_known_by_its_order(size: int) -> None:
    items = [f"item {place}" for place in range(size)]
    shuffled = items.copy()
    random.Random(3).shuffle(shuffled)
    assert [items[place] for place in draws.order(3, size)] == shuffled
    if size:
        assert items[draws.last_of_order(3, size)] == shuffled[-1]


def test_the_depths_are_numpys() -> None:
    depths = np.round(np.linspace(0, 100, num=40, endpoint=True)).astype(int)
    assert list(depths) == list(niah._DEPTHS)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_numpy_refuses_is_refused(seed: int) -> None:
    with pytest.raises(StudyError, match=r"outside 0\.\.4294967295"):
        Draws(seed)
