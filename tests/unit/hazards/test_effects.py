"""Costs of defects: what the definition says, sample by sample, and intervals that cover."""

from collections.abc import Mapping
from itertools import product
from random import Random
from statistics import mean

import numpy as np
import polars as pl
import pytest

from needlework.analysis.comparisons import holm, sign_flip_test
from needlework.errors import RecordError
from needlework.hazards.effects import INTERACTION, TOTAL, Breakdown, Cost, breakdowns, intervals
from needlework.rng import stream_seed
from needlework.statistics.bootstrap import RESAMPLES
from needlework.study.paper import DEPTHS, FORMATS, TASKS
from needlework.study.variants import StudiedModel
from tests.unit.study.test_variants import hazard_plan

SAMPLES, LENGTHS = 6, (256, 512)
MODELS = hazard_plan("nano-mamba2attn", "nano-llama").studied
M2A, LLAMA = MODELS
Score = tuple[str, str, int, int]
"""Run, task, length and index."""


def depth_task(form: str, depth: int) -> str:
    return f"{form}@{depth}"


def scores(seed: int = 0) -> dict[Score, float]:
    """A score for every sample of every run: the more defects, the less."""
    draws = Random(seed)
    runs = dict.fromkeys(run for model in MODELS for run in model.suites["depth"].answers.values())
    tasks = [*TASKS, *(depth_task(*key) for key in product(FORMATS, DEPTHS))]
    return {
        (run, task, length, index): float(draws.random() < 0.9 - 0.2 * place % 0.7)
        for place, run in enumerate(runs)
        for task in tasks
        for length in LENGTHS
        for index in range(SAMPLES)
    }


def frame(found: Mapping[Score, float]) -> pl.DataFrame:
    rows = []
    for (run, task, length, index), score in found.items():
        form, _, depth = task.partition("@")
        rows.append(
            {
                "model": run,
                "suite": "depth" if depth else "ruler",
                "task": task,
                "length": length,
                "index": index,
                "score": score,
                "format": form if depth else None,
                "depth": int(depth) if depth else None,
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None).sample(fraction=1, shuffle=True, seed=1)


def find(found: list[Breakdown], model: StudiedModel, suite: str, length: int | None) -> Breakdown:
    return next(
        row for row in found if (row.model, row.suite, row.length) == (model.name, suite, length)
    )


def cost(row: Breakdown, part: str) -> Cost:
    return next(each for each in row.costs if each.part == part)


def slow_ruler(found: Mapping[Score, float], run: str, lengths: tuple[int, ...]) -> float:
    """The mean over lengths of the mean over tasks of the mean over samples."""
    return mean(
        mean(mean(found[run, task, length, i] for i in range(SAMPLES)) for task in TASKS)
        for length in lengths
    )


def slow_depth(found: Mapping[Score, float], run: str, length: int, *, mixed: bool) -> float:
    """Tables 2 and 3: the mean over depths of the mean over the formats that were run."""
    by_depth = []
    for depth in DEPTHS:
        ran = ["repeat-word-num"] if mixed and depth not in (0, 50, 100) else FORMATS
        by_depth.append(
            mean(
                found[run, depth_task(form, depth), length, i]
                for form in ran
                for i in range(SAMPLES)
            )
        )
    return mean(by_depth)


def test_a_defect_costs_what_the_definition_says() -> None:
    values = scores()
    found = breakdowns(frame(values), MODELS, seed=1)
    corrected = slow_ruler(values, "nano-mamba2attn+no-defect", LENGTHS)
    row = find(found, M2A, "ruler", None)
    alone = {}
    for defect in ("mamba-sampling", "m2a-conv-state"):
        alone[defect] = corrected - slow_ruler(values, f"nano-mamba2attn+{defect}", LENGTHS)
        assert cost(row, defect).points.value == pytest.approx(alone[defect])
    total = corrected - slow_ruler(values, "nano-mamba2attn+all-defects", LENGTHS)
    assert cost(row, TOTAL).points.value == pytest.approx(total)
    assert cost(row, INTERACTION).points.value == pytest.approx(total - sum(alone.values()))
    assert (row.no_defect, row.all_defects) == pytest.approx((corrected, corrected - total))


def test_the_costs_and_the_interaction_add_up_to_the_total() -> None:
    for row in breakdowns(frame(scores(3)), MODELS, seed=1):
        *parts, total = row.costs
        assert sum(part.points.value for part in parts) == pytest.approx(total.points.value)
        assert row.no_defect - row.all_defects == pytest.approx(total.points.value)


def test_mixed_formats_are_a_mean_over_fewer_answers() -> None:
    values = scores(1)
    row = find(breakdowns(frame(values), MODELS, seed=1), LLAMA, "depth", 512)
    plain = slow_depth(values, "nano-llama+no-defect", 512, mixed=False)
    mixed = slow_depth(values, "nano-llama+no-defect", 512, mixed=True)
    assert mixed != pytest.approx(plain)
    assert cost(row, "format-mix").points.value == pytest.approx(plain - mixed)
    both = slow_depth(values, "nano-llama+uuid-numbers", 512, mixed=True)
    assert row.all_defects == pytest.approx(both)


def test_a_suite_that_no_defect_touches_is_left_out() -> None:
    found = breakdowns(frame(scores()), MODELS, seed=1)
    assert {row.suite for row in found if row.model == "nano-llama"} == {"depth"}
    assert {each.part for each in find(found, M2A, "ruler", 256).costs} == {
        "mamba-sampling",
        "m2a-conv-state",
        INTERACTION,
        TOTAL,
    }


def test_a_suite_of_another_name_is_the_mean_over_its_tasks() -> None:
    tasks = ["niah_single_1", "niah_essay_uuids_40"]
    suites = {"retrieval": {"tasks": tasks, "lengths": list(LENGTHS)}}
    (model,) = hazard_plan("nano-llama", suites=suites).studied
    values = {
        (run, task, length, index): float((index + length + len(task)) % (2 + defect) == 0)
        for defect, run in enumerate(dict.fromkeys(model.suites["retrieval"].answers.values()))
        for task in tasks
        for length in LENGTHS
        for index in range(SAMPLES)
    }
    rows = frame(values).with_columns(suite=pl.lit("retrieval"))
    row = find(breakdowns(rows, [model], seed=1), model, "retrieval", None)
    expected = {
        run: mean(score for (found, *_), score in values.items() if found == run)
        for run in ("nano-llama+no-defect", "nano-llama+uuid-numbers")
    }
    assert row.no_defect == pytest.approx(expected["nano-llama+no-defect"])
    assert row.all_defects == pytest.approx(expected["nano-llama+uuid-numbers"])
    assert cost(row, "uuid-numbers").points.value == pytest.approx(row.no_defect - row.all_defects)


def test_intervals_are_those_of_resampling_one_by_one() -> None:
    """The definition: draw samples within each task, and subtract the means of what was drawn."""
    draws = np.random.default_rng(stream_seed(5, "scores"))
    sound = (draws.random((3, 20)) < 0.8).astype(float)
    broken = (draws.random((3, 20)) < 0.5).astype(float)
    slow = []
    for _ in range(RESAMPLES):
        tasks = []
        for task in range(3):
            drawn = draws.integers(20, size=20)
            tasks.append(sound[task][drawn].mean() - broken[task][drawn].mean())
        slow.append(np.mean(tasks))
    low, high = np.quantile(slow, [0.025, 0.975])
    (found,) = intervals([sound - broken], seed=1, address=("test",))
    assert found.value == pytest.approx(sound.mean() - broken.mean())
    assert found.low == pytest.approx(low, abs=0.1 * (high - low))
    assert found.high == pytest.approx(high, abs=0.1 * (high - low))


def test_intervals_cover_the_truth() -> None:
    """200 studies of 13 x 20 pairs: 95 % of the intervals hold the true cost, give or take 4."""
    draws = np.random.default_rng(stream_seed(6, "coverage"))
    truth, hits = 0.3, 0
    differences = [
        (draws.random((13, 20)) < 0.9).astype(float) - (draws.random((13, 20)) < 0.6)
        for _ in range(200)
    ]
    for found in intervals(differences, seed=2, address=("coverage",)):
        hits += found.low <= truth <= found.high
    assert 0.91 <= hits / 200 <= 0.99


def test_intervals_come_from_a_fixed_stream() -> None:
    one, again, other = (breakdowns(frame(scores()), MODELS, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_lengths_are_drawn_together() -> None:
    """A sample is the same question at every length: two lengths are no two studies."""
    values = scores()
    for run, task, _, index in list(values):
        values[run, task, 512, index] = values[run, task, 256, index]
    found = breakdowns(frame(values), MODELS, seed=1)
    for row in found:
        alone = find(found, M2A if row.model == M2A.name else LLAMA, row.suite, 256)
        for each, single in zip(row.costs, alone.costs, strict=True):
            assert each.points == pytest.approx(single.points)


def test_tests_are_exact_and_corrected_together() -> None:
    values = scores(2)
    found = breakdowns(frame(values), MODELS, seed=1)
    tested = [each for row in found for each in row.costs if each.p_value is not None]
    assert [each.adjusted for each in tested] == holm([each.p_value or 0 for each in tested])
    assert {row.length for row in found for each in row.costs if each.p_value is not None} == {None}
    sides = [
        [
            mean(values[f"nano-mamba2attn+{variant}", task, length, i] for length in LENGTHS)
            for task in TASKS
            for i in range(SAMPLES)
        ]
        for variant in ("no-defect", "m2a-conv-state")
    ]
    row = find(found, M2A, "ruler", None)
    assert cost(row, "m2a-conv-state").p_value == pytest.approx(sign_flip_test(*sides))
    assert cost(row, INTERACTION).p_value is None


def test_a_defect_that_changes_nothing_costs_exactly_nothing() -> None:
    values = scores()
    for run, task, length, index in list(values):
        values[run, task, length, index] = values["nano-mamba2attn+no-defect", task, length, index]
    for row in breakdowns(frame(values), [M2A], seed=1):
        for each in row.costs:
            assert (each.points, each.changed) == ((0, 0, 0), 0)


def test_failed_samples_score_zero() -> None:
    rows = frame(scores())
    failed = (pl.col("model") == "nano-mamba2attn+m2a-conv-state") & (pl.col("suite") == "ruler")
    rows = rows.with_columns(score=pl.when(failed).then(None).otherwise(pl.col("score")))
    row = find(breakdowns(rows, MODELS, seed=1), M2A, "ruler", None)
    assert cost(row, "m2a-conv-state").points.value == pytest.approx(row.no_defect)


def test_a_missing_task_is_named() -> None:
    rows = frame(scores()).filter(pl.col("task") != "vt")
    with pytest.raises(RecordError, match=r"nano-mamba2attn\+no-defect at length 256 on vt"):
        breakdowns(rows, MODELS, seed=1)
