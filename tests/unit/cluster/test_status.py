"""Where every cell stands, by the files alone."""

import fcntl
import os
import time
from pathlib import Path

import pytest

from needlework.cluster import status
from needlework.cluster.status import CellStatus
from needlework.study.plan import Plan
from tests.study_for_tests import small_plan

MODEL, SUITE, LENGTH = "nano-llama", "ruler", 128
PLACE = f"{MODEL}/{SUITE}/{LENGTH}"


@pytest.fixture
def plan() -> Plan:
    suites = {SUITE: {"lengths": [LENGTH, 256]}}
    return small_plan(study="mine", models=[MODEL, "nano-mamba2"], suites=suites)


def put(path: Path, text: str = "", *, seconds_ago: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    changed = time.time() - seconds_ago
    os.utime(path, (changed, changed))
    return path


def first(plan: Plan, folder: Path) -> CellStatus:
    return status.read(plan, folder)[0]


def test_nothing_is_there_yet(plan: Plan, tmp_path: Path) -> None:
    found = status.read(plan, tmp_path)
    assert [each.state for each in found] == ["waiting"] * 4
    assert next(status.lines(found)) == "4 cells: 0 done, 0 running, 0 failed, 4 waiting"


def test_a_cell_is_done_when_it_is_scored(plan: Plan, tmp_path: Path) -> None:
    put(tmp_path / f"results/mine/predictions/{PLACE}.jsonl")
    assert first(plan, tmp_path).why == "answered, not scored yet"
    put(tmp_path / f"results/mine/scores/{PLACE}.parquet")
    put(tmp_path / f"logs/mine/predict/{PLACE}.log", "needlework: an earlier mistake\n")
    assert first(plan, tmp_path) == CellStatus(first(plan, tmp_path).cell, "done")


def test_a_score_that_failed_is_told(plan: Plan, tmp_path: Path) -> None:
    put(tmp_path / f"results/mine/predictions/{PLACE}.jsonl")
    put(tmp_path / f"logs/mine/score/{PLACE}.log", "needlework: two runs were mixed\n")
    assert first(plan, tmp_path).state == "failed"


def test_a_journal_that_is_held_is_a_job_that_runs(plan: Plan, tmp_path: Path) -> None:
    journal = put(tmp_path / f"results/mine/predictions/{PLACE}.jsonl.journal")
    put(tmp_path / f"logs/mine/predict/{PLACE}.log", "x samples=7/50 y\n", seconds_ago=9999)
    assert first(plan, tmp_path).state == "waiting"
    with journal.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        found = first(plan, tmp_path)
    assert (found.state, found.why) == ("running", "7 of 50 samples")


def test_a_log_that_grows_is_a_job_on_another_machine(plan: Plan, tmp_path: Path) -> None:
    log = f"logs/mine/predict_shard/{PLACE}/1of4.log"
    put(tmp_path / log, "x samples=7/50 y\n", seconds_ago=60)
    assert first(plan, tmp_path).state == "running"
    put(tmp_path / log, "x samples=7/50 y\n", seconds_ago=9999)
    assert first(plan, tmp_path) == CellStatus(
        first(plan, tmp_path).cell, "waiting", "7 of 50 samples"
    )


@pytest.mark.parametrize("rule", ["predict", "predict_part", "predict_shard", "merge"])
def test_last_words_are_why_a_cell_failed(rule: str, plan: Plan, tmp_path: Path) -> None:
    name = PLACE if rule in ("predict", "merge") else f"{PLACE}/1of2"
    log = put(tmp_path / f"logs/mine/{rule}/{name}.log", "needlework: no memory\n")
    found = first(plan, tmp_path)
    assert (found.state, found.why) == ("failed", f"needlework: no memory ({log})")


def test_cells_of_a_model_that_is_not_verified_failed(plan: Plan, tmp_path: Path) -> None:
    log = put(tmp_path / f"logs/mine/verify/{MODEL}.log", "needlework: config.json is torn\n")
    found = status.read(plan, tmp_path)
    assert [each.state for each in found] == ["failed", "failed", "waiting", "waiting"]
    assert list(status.lines(found))[1:] == [
        f"failed {PLACE} and 1 more of its cells: needlework: config.json is torn ({log})"
    ]
    put(tmp_path / f"results/mine/verified/{MODEL}.json")
    assert first(plan, tmp_path).state == "waiting"


def test_a_dataset_that_cannot_be_made_stops_the_cells_that_ask_it(
    plan: Plan, tmp_path: Path
) -> None:
    task = next(iter(plan.tasks[SUITE]))
    place = f"{plan.prompts(MODEL)}/{LENGTH}/{task}"
    put(tmp_path / f"logs/mine/dataset/{place}.log", "needlework: too long\n")
    found = status.read(plan, tmp_path)
    assert [each.state for each in found] == ["failed", "waiting", "failed", "waiting"]
