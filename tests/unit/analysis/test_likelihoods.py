"""What likelihoods say beside scores, of made-up models that fail in one way alone."""

from collections.abc import Callable
from functools import partial

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy import stats

from needlework.analysis.likelihoods import hidden, likely, places
from needlework.scores.diagnoses import LIKELY
from tests.study_for_tests import small_plan

SUITES = {"ruler": {"lengths": [128, 256, 512]}, "depth": {"lengths": [128, 256, 512]}}
PLAN = small_plan(suites=SUITES, models=["nano-llama"], likelihood=True)
GRID, MODELS = PLAN.grid(), PLAN.shown()
SAMPLES = 40


def rows(
    score: Callable[[int], float | None],
    margin: Callable[[int, int], float],
    task: str = "niah_multikey_1",
) -> pl.DataFrame:
    """One task at three lengths; `score` goes by length, `margin` by length and index."""
    return pl.DataFrame(
        [
            {
                "model": "nano-llama",
                "suite": "ruler",
                "task": task,
                "length": length,
                "index": index,
                "score": score(length),
                "kind": "right" if score(length) else "no value",
                "distance": 1 + index * length // SAMPLES,
                "nats": -6.0,
                "nats_tokens": 3,
                "margin": margin(length, index),
                "rank": 1 if margin(length, index) > 0 else 2,
                "chance": 0.25,
                "apart": False,
            }
            for length in (128, 256, 512)
            for index in range(SAMPLES)
        ],
        schema=LIKELY,
    )


def test_a_margin_that_falls_under_the_ceiling_is_told() -> None:
    frame = rows(lambda _: 1.0, lambda length, index: 10 - length / 128 + index % 3)
    (found,) = hidden(frame, GRID, MODELS, "ruler")
    (falling,) = found.falling
    assert (falling.task, falling.short, falling.long) == ("niah_multikey_1", 128, 512)
    assert falling.change.value == pytest.approx(-3)
    assert falling.before - falling.after == pytest.approx(3)
    assert falling.change.high < 0
    assert found.known == ()


@pytest.mark.parametrize(
    "margin",
    [
        lambda length, index: 5.0 + index % 3,
        lambda length, index: 5.0 + length / 128,
        lambda length, index: 5.0 + (-1) ** index * length,
    ],
    ids=["level", "rising", "noise"],
)
def test_a_margin_that_does_not_fall_for_certain_is_not_told(
    margin: Callable[[int, int], float],
) -> None:
    (found,) = hidden(rows(lambda _: 1.0, margin), GRID, MODELS, "ruler")
    assert found.falling == ()


def test_a_reference_that_is_known_under_the_floor_is_told() -> None:
    frame = rows(lambda length: float(length == 128), lambda _, index: 1.0 if index % 5 else -1.0)
    (found,) = hidden(frame, GRID, MODELS, "ruler")
    (known,) = found.known
    assert (known.task, known.length, known.chance) == ("niah_multikey_1", 512, 0.25)
    assert known.first.mean == 0.8
    assert known.first.low > known.chance


@pytest.mark.parametrize("every", [4, 3])
def test_what_chance_would_do_is_no_knowledge(every: int) -> None:
    """A quarter first is chance; of 40 samples a third is none that is certain."""
    frame = rows(lambda _: 0.0, lambda _, index: -1.0 if index % every else 1.0)
    (found,) = hidden(frame, GRID, MODELS, "ruler")
    assert found.known == ()


def test_scores_between_the_bounds_hide_nothing() -> None:
    frame = rows(lambda _: 0.5, lambda length, _: 1000.0 / length)
    (found,) = hidden(frame, GRID, MODELS, "ruler")
    assert (found.falling, found.known) == ((), ())


def test_a_task_without_distractors_has_a_likelihood_alone() -> None:
    frame = rows(lambda _: 1.0, lambda *_: 1.0, task="vt").with_columns(
        *(pl.lit(None, LIKELY[name]).alias(name) for name in ("rank", "margin", "chance"))
    )
    found = list(likely(frame, GRID, by_task=True))
    assert [each.task for each in found] == ["vt"] * 3
    assert {(each.margin, each.first, each.chance) for each in found} == {(None, None, None)}
    assert {each.nats_per_token.value for each in found} == {-2.0}
    assert hidden(frame, GRID, MODELS, "ruler") == []
    assert list(places(frame, GRID)) == []


def test_failed_samples_are_not_first_and_have_no_margin() -> None:
    names = ("score", "nats", "nats_tokens", "rank", "margin", "chance", "apart")
    is_failed = pl.col("index") < 10
    frame = rows(lambda _: 1.0, lambda *_: 2.0).with_columns(
        *(pl.when(is_failed).then(None).otherwise(pl.col(name)).alias(name) for name in names)
    )
    (found,) = [each for each in likely(frame, GRID, by_task=True) if each.length == 256]
    assert found.samples == SAMPLES - 10
    assert found.margin is not None
    assert found.margin.value == 2.0
    assert found.first is not None
    assert (found.first.mean, found.first.failed) == (0.75, 10)


def test_margins_by_distance_count_every_sample_once() -> None:
    frame = rows(lambda _: 1.0, lambda _, index: float(index + 1))
    found = [each for each in places(frame, GRID) if each.length == 512]
    assert sum(each.samples for each in found) == SAMPLES
    for each in found:
        inside = frame.filter(
            pl.col("length") == 512, pl.col("distance").is_between(each.low, each.high)
        )
        assert each.margin.value == pytest.approx(inside["margin"].mean())
        assert each.margin.low < each.margin.value < each.margin.high


def test_needles_that_are_shared_count_as_one_margin() -> None:
    """The same 10 needles at 6 depths: 60 margins, the evidence of 10."""
    names = [f"niah_essay_numbers_{depth}" for depth in (0, 20, 40, 60, 80, 100)]
    one = rows(lambda _: 1.0, lambda _, index: float(index % 7 + 1)).filter(
        pl.col("length") == 512, pl.col("index") < 10
    )
    frame = pl.concat(
        [one.with_columns(suite=pl.lit("depth"), task=pl.lit(name)) for name in names]
    )
    (found,) = likely(frame, GRID, by_task=False)
    (alone,) = likely(frame.filter(pl.col("task") == names[0]), GRID, by_task=False)
    assert found.samples == 60
    assert found.margin == pytest.approx(alone.margin)


def test_the_change_of_a_margin_is_that_of_pairs() -> None:
    """Slowly: Student's interval of changes, of samples that have a margin at both lengths."""
    generator = np.random.default_rng(4)
    margins = {length: generator.normal(8 - length / 128, 1, SAMPLES) for length in (128, 256, 512)}
    is_failed = (pl.col("length") == 512) & (pl.col("index") < 3)
    names = ("nats", "nats_tokens", "rank", "margin", "chance", "apart")
    frame = rows(lambda _: 1.0, lambda length, index: float(margins[length][index])).with_columns(
        *(pl.when(is_failed).then(None).otherwise(pl.col(name)).alias(name) for name in names)
    )
    (found,) = hidden(frame, GRID, MODELS, "ruler")
    (falling,) = found.falling
    changes = (margins[512] - margins[128])[3:]
    limits = stats.ttest_1samp(changes, 0).confidence_interval(0.95)
    assert falling.change.value == pytest.approx(changes.mean())
    assert (falling.change.low, falling.change.high) == pytest.approx((limits.low, limits.high))


def looked_up(margins_LI: NDArray[np.float64], length: int, index: int) -> float:
    """A margin by length (L) and index (I)."""
    return float(margins_LI[(128, 256, 512).index(length), index])


def test_a_level_margin_and_a_guess_are_rarely_told() -> None:
    """Each is told where a 95 % interval is on one side: by chance of one task in forty.

    Of 150 studies chance adds three standard errors; Wilson's interval of a share is a little
    narrower on that side than it says.
    """
    generator, falling, known, studies = np.random.default_rng(6), 0, 0, 150
    for _ in range(studies):
        margins = generator.normal(0.0, 2, (3, SAMPLES)) + generator.normal(3, 2, SAMPLES)
        first = generator.random((3, SAMPLES)) < 0.25
        signs = np.where(first, 1.0, -1.0)
        level = rows(lambda _: 1.0, partial(looked_up, margins))
        guess = rows(lambda _: 0.0, partial(looked_up, signs))
        falling += bool(hidden(level, GRID, MODELS, "ruler")[0].falling)
        known += bool(hidden(guess, GRID, MODELS, "ruler")[0].known)
    most = 0.025 + 3 * np.sqrt(0.025 * 0.975 / studies)
    assert falling / studies <= most
    assert known / studies <= most + 0.01
