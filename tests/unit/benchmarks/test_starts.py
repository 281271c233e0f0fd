"""What a start is measured by: it ends at the first forward call, and all its time has a place."""

import json
import os
import subprocess
import sys

import pytest

from benchmarks import starting, starts
from benchmarks.measure import NANO
from benchmarks.starting import Start, Step
from benchmarks.starts import Measured
from needlework.files import write_records
from tests.tasks_for_tests import RULER, rows

TASK = "niah_single_2"


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    """That of a cell of a nano model, in a process of its own."""
    folder = tmp_path_factory.mktemp("start")
    write_records(folder / f"{TASK}.jsonl", (sample for sample, _ in rows(TASK, length=128)))
    spec = RULER[TASK].model_dump(mode="json")
    (folder / "tasks.json").write_text(json.dumps({TASK: spec}))
    words = [
        *("predict", str(folder / "out/model/ruler/128.jsonl"), str(folder / f"{TASK}.jsonl")),
        *("--checkpoint", str(NANO / "llama"), "--tokenizer", str(NANO / "tokenizer")),
        *("--tasks", str(folder / "tasks.json"), "--device", "cpu"),
    ]
    command = [sys.executable, "-m", "benchmarks.starting", str(folder / "start.json"), *words]
    subprocess.run(command, check=True, env=os.environ | {"HF_HUB_OFFLINE": "1"}, timeout=120)
    assert not list((folder / "out").rglob("*.jsonl"))
    return Start.model_validate_json((folder / "start.json").read_bytes())


def test_every_step_is_taken_before_the_first_call(start: Start) -> None:
    names = [step.name for step in start.steps]
    assert set(names) == {*starting.STEPS.values(), starting.OTHERWISE, starting.STORAGE}
    assert len(names) == len(set(names))
    assert all(step.cpu >= 0 and step.wall >= 0 for step in start.steps)


def test_a_job_that_answers_imports_no_compiler(start: Start) -> None:
    """torch's own comes with sympy and takes as long to import as all else together."""
    assert "torch" in start.loaded
    assert {"sympy", "torch._dynamo", "transformers", "triton"}.isdisjoint(start.loaded)


def test_a_column_of_the_table_is_a_start() -> None:
    steps = (Step(name="imports", cpu=2.0, wall=2.5), Step(name="weights", cpu=3.0, wall=9.25))
    start = Start(steps=steps, read_bytes=5_410_000_000, loaded=())
    found = Measured(
        checkpoint="owner/model", length=16_384, named="hub id", cold=True, start=start
    )
    lines = starts.table([found]).splitlines()
    assert lines[0] == "| CPU s (wall s) | model as hub id, 16,384, cold |"
    assert lines[-2:] == ["| **all** | 5.00 (11.75) |", "| GB from the disk | 5.41 |"]
