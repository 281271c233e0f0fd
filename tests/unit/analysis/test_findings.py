"""Findings: pairs are compared on the samples they share, and shared needles count once."""

from pathlib import Path

import polars as pl
import pytest

from needlework.analysis.comparisons import SMALLEST, compare
from needlework.analysis.findings import middles, pairs, partial_credit, reaches, visible_drops
from needlework.scores.estimates import Scores
from needlework.statistics.means import estimate
from needlework.study.shown import ShownModel
from tests.study_for_tests import estimates, paired_of, right, scores_of, small_plan

PLAN = small_plan()
FIRST, SECOND = PLAN.shown()


def scored(model: ShownModel, suite: str, task: str, scores: list[float | None]) -> pl.DataFrame:
    rows = {"index": range(len(scores)), "score": scores}
    return pl.DataFrame(rows, schema_overrides={"score": pl.Float64}).with_columns(
        model=pl.lit(model.name), suite=pl.lit(suite), task=pl.lit(task), length=pl.lit(256)
    )


def test_models_are_compared_sample_by_sample() -> None:
    better, worse = [1.0] * 30 + [0.0] * 10, [1.0] * 12 + [0.0] * 28
    frame = pl.concat([scored(FIRST, "ruler", "vt", better), scored(SECOND, "ruler", "vt", worse)])
    (pair,) = pairs(frame, [FIRST, SECOND], PLAN.grid())
    assert pair.comparison == compare(better, worse, estimates=(estimate(better), estimate(worse)))
    assert pair.is_significant


def test_samples_that_share_a_needle_count_as_one() -> None:
    """Five depths with the same four needles are four pairs, not twenty."""
    frame = pl.concat(
        scored(model, "depth", f"niah_essay_numbers_{depth}", [score] * 4)
        for model, score in ((FIRST, 1.0), (SECOND, 0.0))
        for depth in (0, 20, 40, 50, 60)
    )
    (pair,) = pairs(frame, [FIRST, SECOND], PLAN.grid())
    assert pair.comparison.pairs == 4
    assert not pair.is_significant


def test_failed_samples_stay_in_and_score_zero() -> None:
    frame = pl.concat(
        [scored(FIRST, "ruler", "vt", [1.0, None]), scored(SECOND, "ruler", "vt", [1.0, 1.0])]
    )
    (pair,) = pairs(frame, [FIRST, SECOND], PLAN.grid())
    assert pair.comparison.difference.value == pytest.approx(-0.5)


def test_models_with_other_prompts_are_not_compared() -> None:
    other = SECOND.model_copy(update={"wrapper": "chat"})
    frame = pl.concat([scored(m, "ruler", "vt", [1.0, 0.0]) for m in (FIRST, other)])
    assert pairs(frame, [FIRST, other], PLAN.grid()) == []


def test_two_wordings_of_a_model_are_compared() -> None:
    """Their prompts differ, but samples of an index ask for the same."""
    sides = [
        FIRST.model_copy(update={"name": f"mamba2+{name}", "wrapper": wrapper})
        for name, wrapper in (("ruler", "base"), ("plain", "base+plain"))
    ]
    frame = pl.concat([scored(model, "ruler", "vt", [1.0, 0.0]) for model in sides])
    (pair,) = pairs(frame, sides, PLAN.grid())
    assert (pair.first, pair.second) == ("mamba2+ruler", "mamba2+plain")


def test_all_pairs_are_corrected_together() -> None:
    """One pair's p-value of about 0.03 does not survive three lengths of pairs."""
    better, worse = [1.0] * 6 + [0.0] * 4, [0.0] * 10
    frame = pl.concat(
        scored(model, "ruler", "vt", scores).with_columns(length=pl.lit(length))
        for length in (128, 256, 512)
        for model, scores in ((FIRST, better), (SECOND, worse))
    )
    found = pairs(frame, [FIRST, SECOND], PLAN.grid())
    assert [pair.comparison.p_value < 0.05 for pair in found] == [True] * 3
    assert not any(pair.is_significant for pair in found)


def test_a_p_value_is_never_zero() -> None:
    frame = pl.concat(
        [scored(FIRST, "ruler", "vt", [1.0] * 900), scored(SECOND, "ruler", "vt", [0.0] * 900)]
    )
    assert pairs(frame, [FIRST, SECOND], PLAN.grid())[0].comparison.p_value == SMALLEST


def test_only_cells_with_partial_credit_are_bootstrapped() -> None:
    frame = pl.concat(
        [scored(FIRST, "ruler", "vt", [1.0, 0.4, 0.2]), scored(FIRST, "ruler", "qa_1", [1.0, 0.0])]
    )
    (cell,) = partial_credit(frame, seed=0)
    assert cell.task == "vt"
    assert cell.bootstrap.low < cell.wilson.mean < cell.bootstrap.high


def test_how_far_a_model_reads_is_told_for_each() -> None:
    scores = scores_of(PLAN, lambda model, task, length: right(10 if length < 512 else 0))
    for reach in reaches(scores, PLAN.shown(), "ruler"):
        assert reach.bar is not None
        assert reach.bar.length == 256
        assert reach.kept == {2: None, 4: None, 8: None}
        assert reach.own is not None
        for found in reach.groups.values():
            assert found is not None
            assert found.length == reach.own.length == 256
        assert set(reach.groups) == {
            "retrieval",
            "tracing",
            "aggregation",
            "qa",
            "frequent words",
            "all but frequent words",
        }
    found = middles(paired_of(PLAN, estimates(PLAN)), PLAN.shown(), "depth")
    assert all(middle.lost[1] is not None for middle in found)


def test_a_missing_length_leaves_no_effective_length() -> None:
    """It might be the length at which the model falls short."""
    gone = (FIRST.name, "ruler", 128)
    cells = [c for c in estimates(PLAN) if (c.model, c.suite, c.length) != gone]
    scores = Scores(cells, PLAN.grid())
    first, second = reaches(scores, PLAN.shown(), "ruler")
    assert (first.bar, first.own) == (None, None)
    assert second.own is not None
    assert first.groups["qa"] is None
    assert middles(paired_of(PLAN, cells), PLAN.shown(), "depth")[0].lost[1] is not None


@pytest.mark.parametrize(("inner", "is_told"), [(20, False), (50, True)])
def test_the_middle_is_what_a_suite_asks_of_it(inner: int, is_told: bool) -> None:
    tasks = [f"niah_essay_numbers_{depth}" for depth in (0, inner, 100)]
    plan = small_plan(suites={"three": {"tasks": tasks, "lengths": [256]}})
    (first, _) = middles(paired_of(plan, estimates(plan)), plan.shown(), "three")
    assert (first.lost[1] is not None) == is_told
    assert first.lost[2] is None


def test_one_task_in_two_suites_is_compared_in_each() -> None:
    suites = {
        "one": {"tasks": ["vt"], "lengths": [256]},
        "two": {"tasks": ["vt"], "lengths": [256]},
    }
    plan = small_plan(suites=suites)
    frame = pl.concat(
        scored(model, suite, "vt", scores)
        for suite in suites
        for model, scores in ((FIRST, [1.0, 0.5]), (SECOND, [0.0, 0.0]))
    )
    found = pairs(frame, [FIRST, SECOND], plan.grid())
    assert [(pair.suite, pair.comparison.pairs) for pair in found] == [("one", 2), ("two", 2)]
    assert [cell.task for cell in partial_credit(frame, seed=0)] == ["vt"]


def test_larger_scores_make_smaller_drops_visible() -> None:
    drops = visible_drops(250)
    values = [drop for drop in drops.values() if drop is not None]
    assert values == sorted(values, reverse=True)
    assert len(values) == 3


def test_the_command_writes_page_and_files(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from needlework.cli import cli
    from tests.whole_study_for_tests import make_study

    make_study(tmp_path, samples=4)
    study = tmp_path / "nano"
    arguments = [study / "scores.parquet", study / "estimates.parquet", tmp_path / "findings"]
    parts = ("study", "grid", "models")
    options = [word for part in parts for word in (f"--{part}", study / f"plan/{part}.json")]
    command = ["findings", *map(str, arguments), *map(str, options)]
    CliRunner().invoke(cli, command, catch_exceptions=False)
    page = (tmp_path / "findings.md").read_text()
    assert "Who is better" in page
    assert "In RULER, at 128, 256, 512 tokens in this order" in page
    row = next(line for line in page.splitlines() if line.startswith("| **Llama** |"))
    cells = [cell.split() for cell in row.split("|")[2:-1]]
    assert [len(cell) for cell in cells] == [3, 0, 3]
    assert "rank no architectures" in page
    assert "85.6" not in page
    assert len((tmp_path / "findings.pairs.csv").read_text().splitlines()) == 1 + 3 * 6
    assert "vt" in (tmp_path / "findings.bootstrap.csv").read_text()
