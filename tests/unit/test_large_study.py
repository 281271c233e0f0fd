"""The study behind the measurements: as large as it says, and everything of it can be reported."""

from pathlib import Path

import polars as pl

from tests.large_study_for_tests import SAMPLES, make_large_study, run


def test_its_answers_are_counted_and_collected(tmp_path: Path) -> None:
    plan = make_large_study(tmp_path, samples=1)
    study = tmp_path / "nano"
    files = [study / "scores.parquet", study / "estimates.parquet"]
    run("collect", study / "scores", *files, "--grid", study / "plan/grid.json")
    scores = pl.read_parquet(files[0])
    assert scores.height * SAMPLES == 200_448
    assert scores["model"].n_unique() == len(plan.models) == 6
    assert 0.3 < scores["score"].mean() < 0.9  # type: ignore[operator]
