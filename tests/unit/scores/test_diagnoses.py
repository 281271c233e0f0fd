"""Diagnoses: every answer joined with its sample, and files that do not fit together are named."""

import re
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from needlework.cli import cli
from needlework.errors import RecordError
from needlework.files import read_records, write_records
from needlework.records import PlacedDetail, Prediction, Sample
from needlework.scores import cells
from needlework.scores.diagnoses import DIAGNOSES, read_diagnoses
from needlework.scores.failures import KINDS
from needlework.study.plan import Plan
from tests.whole_study_for_tests import collect, make_study

CELL = "nano-llama/ruler/128"


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return make_study(tmp_path, samples=3, models=("nano-llama",))


def test_every_answer_has_its_score_kind_and_distance(plan: Plan, tmp_path: Path) -> None:
    study = tmp_path / "nano"
    scores = pl.read_parquet(study / "scores.parquet")
    found = read_diagnoses(study / "diagnosis.parquet", plan.grid())
    place = ["model", "suite", "task", "length", "index"]
    assert found.select(*place, "score").equals(scores.select(*place, "score"))
    assert set(found["kind"]) <= set(KINDS)
    right = found.filter(pl.col("kind") == "right")
    assert set(right["score"]) == {1.0}
    assert right.height == scores.filter(pl.col("score") == 1).height
    row = found.row(0, named=True)
    details = study / f"data/nano-base/{row['length']}/{row['task']}.details.jsonl"
    (detail, *_) = read_records(details, PlacedDetail)
    assert row["distance"] == detail.question_token - detail.needle_tokens[0].start > 0


def test_a_failed_answer_is_empty(plan: Plan, tmp_path: Path) -> None:
    study = tmp_path / "nano"
    path = study / f"predictions/{CELL}.jsonl"
    answers = read_records(path, Prediction)
    changed = {"stop_reason": "failed", "error": "no memory", "pred": ""}
    write_records(path, [answers[0].model_copy(update=changed), *answers[1:]])
    cells.score_cell(
        path,
        study / f"scores/{CELL}.parquet",
        cell=plan.grid().cell(CELL),
        tasks=plan.tasks["ruler"],
        samples=3,
    )
    collect(plan, study)
    row = read_diagnoses(study / "diagnosis.parquet", plan.grid()).row(0, named=True)
    assert (row["score"], row["kind"]) == (None, "refusal or empty")


def test_an_answer_to_another_sample_is_named(plan: Plan, tmp_path: Path) -> None:
    study = tmp_path / "nano"
    path = study / f"predictions/{CELL}.jsonl"
    answers = read_records(path, Prediction)
    write_records(path, [answers[0].model_copy(update={"outputs": ("x",)}), *answers[1:]])
    with pytest.raises(RecordError, match=f"{CELL}.jsonl: niah_single_1 #0 answers no sample"):
        collect(plan, study)


def test_details_of_other_samples_are_refused(plan: Plan, tmp_path: Path) -> None:
    study = tmp_path / "nano"
    path = study / "data/nano-base/128/vt.jsonl"
    write_records(path, read_records(path, Sample)[1:])
    with pytest.raises(RecordError, match=r"vt.jsonl: samples and details differ"):
        collect(plan, study)


NONE = {"kind": "no diagnosis, or two", "model": "nothing that the study asks for"}
"""What is told of a row by the column that is wrong."""


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (pl.lit("**bold**").alias("kind"), NONE["kind"]),
        (pl.lit(None, pl.String).alias("kind"), NONE["kind"]),
        (pl.lit(-1, pl.Int64).alias("distance"), NONE["kind"]),
        (pl.lit(float("nan")).alias("score"), NONE["kind"]),
        (pl.lit(0, pl.Int64).alias("index"), NONE["kind"]),
        (pl.lit("another").alias("model"), NONE["model"]),
        (pl.lit(None, pl.String).alias("task"), NONE["model"]),
        (pl.lit(1).alias("x"), "other columns than a file of diagnoses"),
    ],
    ids=["strange", "none", "below 0", "nan", "twice", "another study", "no task", "columns"],
)
def test_what_is_no_diagnosis_of_the_study_is_named(
    plan: Plan, tmp_path: Path, changed: pl.Expr, told: str
) -> None:
    """Pages show kinds as they are: of a file that was changed they would say anything."""
    path = tmp_path / "nano/diagnosis.parquet"
    pl.read_parquet(path).with_columns(changed).write_parquet(path)
    with pytest.raises(RecordError, match=f"diagnosis.parquet: .*{told}; delete it"):
        read_diagnoses(path, plan.grid())


def test_a_needle_does_not_begin_after_the_question(plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "nano/data/nano-base/128/vt.details.jsonl"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r'"question_token": \d+', '"question_token": 0', text, count=1))
    with pytest.raises(RecordError, match=r"vt.details.jsonl.*must begin before question_token"):
        collect(plan, tmp_path / "nano")


def test_the_command_takes_the_cells_that_are_named(plan: Plan, tmp_path: Path) -> None:
    study, output = tmp_path / "nano", tmp_path / "some.parquet"
    words = ["diagnose", str(study), str(output), "--cell", CELL]
    done = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found = read_diagnoses(output, plan.grid())
    assert found.schema == DIAGNOSES
    places = set(found.select("model", "suite", "length").iter_rows())
    assert places == {("nano-llama", "ruler", 128)}
