"""What length costs one model beyond another: a difference of paired differences."""

import random

import pytest

from needlework.analysis.comparisons import compare
from needlework.analysis.findings import Pair
from needlework.analysis.length_costs import length_costs
from needlework.statistics.means import estimate


def pair(
    length: int, first: list[float], second: list[float], *, models: tuple[str, str] = ("a", "b")
) -> Pair:
    compared = compare(first, second, estimates=(estimate(first), estimate(second)))
    return Pair(*models, "ruler", length, compared, compared.p_value)


def test_a_model_that_falls_while_another_stays_loses_more() -> None:
    whole, half = [1.0] * 40, [1.0] * 20 + [0.0] * 20
    (cost,) = length_costs([pair(1024, whole, whole), pair(4096, whole, half)])
    assert (cost.shortest, cost.longest) == (1024, 4096)
    assert cost.spared.value == pytest.approx(0.5)
    assert cost.is_significant


def test_a_model_that_is_worse_at_every_length_loses_no_more() -> None:
    whole, half = [1.0] * 40, [1.0] * 20 + [0.0] * 20
    (cost,) = length_costs([pair(1024, whole, half), pair(4096, whole, half)])
    assert cost.spared.value == 0
    assert not cost.is_significant


def test_lengths_between_do_not_count_and_one_length_says_nothing() -> None:
    whole, none = [1.0] * 10, [0.0] * 10
    (cost,) = length_costs(
        [pair(1024, whole, whole), pair(2048, whole, none), pair(4096, whole, whole)]
    )
    assert cost.spared.value == 0
    assert length_costs([pair(1024, whole, none)]) == []


def test_all_pairs_of_models_are_corrected_together() -> None:
    whole, fewer = [1.0] * 40, [1.0] * 33 + [0.0] * 7
    alone = [pair(1024, whole, whole), pair(4096, whole, fewer)]
    (cost,) = length_costs(alone)
    assert cost.is_significant
    more = [
        pair(length, whole, whole, models=("a", f"c{number}"))
        for number in range(20)
        for length in (1024, 4096)
    ]
    assert not length_costs([*alone, *more])[0].is_significant


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Two models of 80 % at the short length, of which the second falls to 60 % at the long one."""
    draw, held, rounds = random.Random(0), 0, 400

    def answers(rate: float) -> list[float]:
        return [float(draw.random() < rate) for _ in range(50)]

    for _ in range(rounds):
        (cost,) = length_costs(
            [pair(1024, answers(0.8), answers(0.8)), pair(4096, answers(0.8), answers(0.6))]
        )
        held += cost.spared.low <= 0.2 <= cost.spared.high
    # 95 % within two standard errors of 400 rounds; above, room for intervals that count lengths as
    # independent and limits near 100 % that are wide.
    assert 0.93 <= held / rounds <= 0.985
