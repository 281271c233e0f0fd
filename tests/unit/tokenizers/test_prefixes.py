"""Forests of shared prefixes, on prompts small enough to draw."""

import random

import numpy as np

from needlework.tokenizers.prefixes import (
    Reading,
    Segment,
    Tokens,
    computed_tokens,
    plan_forest,
    plan_separately,
)


def prompts(*texts: str) -> list[Tokens]:
    """One token per letter."""
    return [np.array([ord(letter) for letter in text], dtype=np.int32) for text in texts]


def drawn(*texts: str, branch_cost: float = 0) -> list[tuple[str, str | None, tuple[int, ...]]]:
    """Every segment as its letters, those of its parent, and the prompts that end with it."""
    forest = plan_forest(prompts(*texts), branch_cost=branch_cost)
    letters = [texts[each.prompt][each.start : each.end] for each in forest]
    return [
        (letters[index], None if each.parent is None else letters[each.parent], each.prompts)
        for index, each in enumerate(forest)
    ]


def test_a_shared_beginning_becomes_one_segment() -> None:
    assert sorted(drawn("aabb", "aacc")) == [
        ("aa", None, ()),
        ("bb", "aa", (0,)),
        ("cc", "aa", (1,)),
    ]


def test_a_prompt_inside_another_ends_at_a_branch() -> None:
    assert sorted(drawn("aa", "aabb")) == [("aa", None, (0,)), ("bb", "aa", (1,))]


def test_equal_prompts_are_one_segment() -> None:
    assert drawn("aa", "aa", "aa") == [("aa", None, (0, 1, 2))]


def test_prompts_without_a_common_beginning_stay_apart() -> None:
    assert sorted(drawn("ab", "ba")) == [("ab", None, (0,)), ("ba", None, (1,))]


def test_parents_come_before_their_children() -> None:
    forest = plan_forest(prompts("abcd", "abce", "abf", "ag", "h"), branch_cost=0)
    assert all(each.parent is None or each.parent < index for index, each in enumerate(forest))


def test_token_ids_are_compared_as_numbers() -> None:
    """Ids beyond one byte: a comparison of little-endian bytes would sort 256 before 1."""
    tokens = [np.array(each, dtype=np.int32) for each in ([1, 256], [1, 1], [256, 1], [1, 256, 3])]
    forest = plan_forest(tokens, branch_cost=0)
    assert computed_tokens(forest, 4) == [2, 1, 2, 1]


def test_the_forest_does_not_depend_on_the_order_of_prompts() -> None:
    texts = ["abcd", "abce", "abf", "ag", "h", "hi"]

    def reached(order: list[int]) -> set[tuple[str, int]]:
        forest = plan_forest(prompts(*(texts[each] for each in order)), branch_cost=2)
        return {(texts[order[each.prompt]][: each.end], each.start) for each in forest}

    orders = [random.Random(seed).sample(range(6), 6) for seed in range(10)]
    assert {frozenset(reached(order)) for order in orders} == {frozenset(reached(list(range(6))))}


def test_a_branch_that_saves_less_than_it_costs_is_dropped() -> None:
    assert sorted(drawn("aab", "aac", branch_cost=3)) == [("aab", None, (0,)), ("aac", None, (1,))]


def test_many_continuations_pay_for_a_short_branch() -> None:
    """Two tokens for four prompts save six."""
    forest = drawn("aab", "aac", "aad", "aae", branch_cost=6)
    assert ("aa", None, ()) in forest


def test_dropped_branches_add_up_until_one_is_kept() -> None:
    """Branches after 1, 2, 3, ... tokens: each alone is not worth 6, the debt of three is."""
    texts = ["z", "az", "aaz", "aaaz", "aaaaz", "aaaaaz", "aaaaaaz"]
    forest = plan_forest(prompts(*texts), branch_cost=6)
    branches = [each.end for each in forest if not each.prompts]
    assert branches == [3]


def test_tokens_are_charged_once_to_the_first_prompt_that_has_them() -> None:
    forest = plan_forest(prompts("aabb", "c", "aab", "aacc"), branch_cost=0)
    assert computed_tokens(forest, 4) == [4, 1, 0, 2]


def test_a_finished_prompt_tells_all_that_was_read_for_it_and_nothing_twice() -> None:
    """Also where the prompt that pays for the shared tokens is not the first to finish."""
    forest = plan_forest(prompts("aabb", "c", "aab", "aacc"), branch_cost=0)
    reading = Reading(forest)
    assert [reading.finish(prompt) for prompt in (3, 0, 1, 2)] == [4, 2, 1, 0]
    assert sum(each.length for each in forest) == 7


def test_separate_prompts_pay_for_themselves() -> None:
    forest = plan_separately(prompts("aab", "aac"))
    assert forest == (
        Segment(prompt=0, start=0, end=3, parent=None, prompts=(0,)),
        Segment(prompt=1, start=0, end=3, parent=None, prompts=(1,)),
    )


def test_a_long_book_is_shared_up_to_every_needle() -> None:
    """Ten thousand needles in one book: half of all tokens, at the price of few branches."""
    draws = np.random.default_rng(0)
    book = draws.integers(3, 500, 256)
    tokens = [
        np.concatenate([book[:at], draws.integers(3, 500, 6), book[at:]]).astype(np.int32)
        for at in draws.integers(0, 256, 10_000)
    ]
    forest = plan_forest(tokens)
    assert sum(each.length for each in forest) < 0.52 * sum(map(len, tokens))
    assert len(forest) < 1.1 * len(tokens)
