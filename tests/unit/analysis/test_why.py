"""Reasons by rule: made-up models that fail by one thing alone are told to fail by it."""

import itertools
from collections.abc import Callable

import polars as pl
import pytest

from needlework.analysis.why import NEAREST, Why, range_of, ranges, reasons, shares
from needlework.scores.diagnoses import DIAGNOSES
from needlework.scores.failures import KINDS
from tests.study_for_tests import small_plan

SUITES = {"ruler": {"lengths": [256, 2048]}, "depth": {"lengths": [256, 512]}}
PLAN = small_plan(suites=SUITES, models=["nano-llama"])
GRID, MODELS = PLAN.grid(), PLAN.shown()
SAMPLES = 400


def rows(right: Callable[[int, int], bool], kind: str = "no value") -> pl.DataFrame:
    """Single needles at all distances; `right` says of length and distance which are found."""
    return pl.DataFrame(
        [
            {
                "model": "nano-llama",
                "suite": "ruler",
                "task": "niah_single_1",
                "length": length,
                "index": index,
                "score": float(right(length, distance)),
                "kind": "right" if right(length, distance) else kind,
                "distance": distance,
            }
            for length in (256, 2048)
            for index in range(SAMPLES)
            for distance in [1 + index * length // SAMPLES]
        ],
        schema=DIAGNOSES,
    )


def why(frame: pl.DataFrame) -> Why:
    (found,) = reasons(frame, GRID, MODELS, "ruler")
    return found


def test_a_model_that_reads_its_window_alone_has_a_window() -> None:
    found = why(rows(lambda _, distance: distance <= 256))
    assert found.reasons == ("window",)
    assert found.window == (256, 257)
    assert found.by_distance.high < -0.7


def test_where_no_needle_lies_a_window_has_no_edge() -> None:
    """Found up to 64 tokens back, and from 257 on not: of what lies between nothing is known."""
    asked = rows(lambda _, distance: distance <= 256)
    near, far = pl.col("distance") <= 64, pl.col("distance") > 256
    found = why(asked.filter(near | far))
    assert found.window == (64, 257)


def test_a_model_that_fades_forgets_with_distance() -> None:
    found = why(rows(lambda _, distance: distance <= 700 or distance % 2 == 0))
    assert found.reasons == ("distance",)
    assert found.window is None


@pytest.mark.parametrize(("kind", "reason"), [("no value", "length"), ("invented", "interference")])
def test_a_model_that_fails_at_any_distance_fails_by_length(kind: str, reason: str) -> None:
    found = why(rows(lambda length, distance: length == 256, kind))
    assert found.reasons == (reason,)
    assert found.kinds == ((kind, SAMPLES),)
    assert found.by_length.value == -1


def test_a_model_that_finds_all_fails_by_nothing() -> None:
    found = why(rows(lambda *_: True))
    assert found.reasons == ()
    assert (found.wrong, found.values) == (0, None)


def test_needles_in_training_range_alone_say_nothing() -> None:
    frame = rows(lambda *_: True).filter(pl.col("length") == 256)
    assert reasons(frame, GRID, MODELS, "ruler") == []
    assert reasons(frame, GRID, MODELS, "depth") == []


def test_ranges_tile_the_distances() -> None:
    bounds = [range_of(distance) for distance in range(1, 5000)]
    assert all(low <= distance <= high for distance, (low, high) in enumerate(bounds, start=1))
    ends = sorted(set(bounds))
    assert ends[0] == (0, NEAREST)
    assert all(later[0] == earlier[1] + 1 for earlier, later in itertools.pairwise(ends))


def test_shares_and_ranges_count_every_answer_once() -> None:
    frame = rows(lambda length, distance: distance % 3 == 0, "elsewhere")
    told = [each for each in shares(frame, GRID, by_task=False) if each.length == 2048]
    assert [each.kind for each in told] == list(KINDS)
    assert sum(each.answers for each in told) == SAMPLES
    by_range = [each for each in ranges(frame, GRID, by_task=True) if each.length == 2048]
    assert {each.task for each in by_range} == {"niah_single_1"}
    assert sum(each.score.count for each in by_range) == SAMPLES
    for each in by_range:
        inside = frame.filter(
            pl.col("length") == 2048, pl.col("distance").is_between(each.low, each.high)
        )
        assert each.score.mean == pytest.approx(inside["score"].mean())


def test_needles_that_are_shared_count_as_one() -> None:
    """The same 10 needles at 6 depths of the depth suite: 60 answers, the evidence of 10."""
    names = [f"niah_essay_numbers_{depth}" for depth in (0, 20, 40, 60, 80, 100)]
    same = pl.DataFrame(
        [
            ("nano-llama", "depth", name, 512, index, float(index < 5), "right", 10)
            for name in names
            for index in range(10)
        ],
        schema=DIAGNOSES,
        orient="row",
    )
    (found,) = ranges(same, GRID, by_task=False)
    (alone,) = ranges(same.filter(pl.col("task") == names[0]), GRID, by_task=False)
    assert found.score.count == 60
    assert found.score.low == pytest.approx(alone.score.low)
