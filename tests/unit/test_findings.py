"""Findings: pairs are compared on the samples they share, and shared needles count once."""

from pathlib import Path

import polars as pl
import pytest

from needlework.comparisons import SMALLEST, compare
from needlework.findings import pairs, partial_credit, reaches, visible_drops
from needlework.report.layout import Scores
from needlework.statistics import estimate
from needlework.study import ShownModel
from tests.study_for_tests import estimates, right, small_plan

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
    (pair,) = pairs(frame, [FIRST, SECOND])
    assert pair.comparison == compare(better, worse, estimates=(estimate(better), estimate(worse)))
    assert pair.is_significant


def test_samples_that_share_a_needle_count_as_one() -> None:
    """Five depths with the same four needles are four pairs, not twenty."""
    frame = pl.concat(
        scored(model, "depth", f"depth_{depth}", [score] * 4)
        for model, score in ((FIRST, 1.0), (SECOND, 0.0))
        for depth in range(5)
    )
    (pair,) = pairs(frame, [FIRST, SECOND])
    assert pair.comparison.pairs == 4
    assert not pair.is_significant


def test_failed_samples_stay_in_and_score_zero() -> None:
    frame = pl.concat(
        [scored(FIRST, "ruler", "vt", [1.0, None]), scored(SECOND, "ruler", "vt", [1.0, 1.0])]
    )
    (pair,) = pairs(frame, [FIRST, SECOND])
    assert pair.comparison.difference.value == pytest.approx(-0.5)


def test_models_with_other_prompts_are_not_compared() -> None:
    other = SECOND.model_copy(update={"wrapper": "chat"})
    frame = pl.concat([scored(m, "ruler", "vt", [1.0, 0.0]) for m in (FIRST, other)])
    assert pairs(frame, [FIRST, other]) == []


def test_two_wordings_of_a_model_are_compared() -> None:
    """Their prompts differ, but samples of an index ask for the same."""
    sides = [
        FIRST.model_copy(update={"name": f"mamba2+{name}", "wrapper": wrapper})
        for name, wrapper in (("ruler", "base"), ("plain", "base+plain"))
    ]
    frame = pl.concat([scored(model, "ruler", "vt", [1.0, 0.0]) for model in sides])
    (pair,) = pairs(frame, sides)
    assert (pair.first, pair.second) == ("mamba2+ruler", "mamba2+plain")


def test_all_pairs_are_corrected_together() -> None:
    """One pair's p-value of about 0.03 does not survive three lengths of pairs."""
    better, worse = [1.0] * 6 + [0.0] * 4, [0.0] * 10
    frame = pl.concat(
        scored(model, "ruler", "vt", scores).with_columns(length=pl.lit(length))
        for length in (128, 256, 512)
        for model, scores in ((FIRST, better), (SECOND, worse))
    )
    found = pairs(frame, [FIRST, SECOND])
    assert [pair.comparison.p_value < 0.05 for pair in found] == [True] * 3
    assert not any(pair.is_significant for pair in found)


def test_a_p_value_is_never_zero() -> None:
    frame = pl.concat(
        [scored(FIRST, "ruler", "vt", [1.0] * 900), scored(SECOND, "ruler", "vt", [0.0] * 900)]
    )
    assert pairs(frame, [FIRST, SECOND])[0].comparison.p_value == SMALLEST


def test_only_cells_with_partial_credit_are_bootstrapped() -> None:
    frame = pl.concat(
        [scored(FIRST, "ruler", "vt", [1.0, 0.4, 0.2]), scored(FIRST, "ruler", "qa_1", [1.0, 0.0])]
    )
    (cell,) = partial_credit(frame, seed=0)
    assert cell.task == "vt"
    assert cell.bootstrap.low < cell.wilson.mean < cell.bootstrap.high


def test_how_far_a_model_reads_is_told_for_each() -> None:
    scores = Scores(estimates(PLAN, lambda model, task, length: right(10 if length < 512 else 0)))
    for reach in reaches(scores, PLAN.shown()):
        assert reach.ruler.length == 256
        assert reach.kept == {2: None, 4: None, 8: None}
        assert reach.middle[1] is not None


def test_a_missing_length_leaves_no_effective_length() -> None:
    """It might be the length at which the model falls short."""
    cells = [c for c in estimates(PLAN) if (c.model, c.task, c.length) != (FIRST.name, "vt", 128)]
    first, second = reaches(Scores(cells), PLAN.shown())
    assert (first.ruler, first.own) == (None, None)
    assert second.own is not None
    assert first.middle[1] is not None


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
    arguments = [study / "scores.parquet", study / "cells.parquet", tmp_path / "findings"]
    options = ["--study", study / "plan/study.json", "--models", study / "plan/models.json"]
    command = ["findings", *map(str, arguments), *map(str, options)]
    CliRunner().invoke(cli, command, catch_exceptions=False)
    assert "Who is better" in (tmp_path / "findings.md").read_text()
    assert len((tmp_path / "findings.pairs.csv").read_text().splitlines()) == 1 + 3 * 6
    assert "vt" in (tmp_path / "findings.bootstrap.csv").read_text()
