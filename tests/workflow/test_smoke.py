"""The whole chain with a real model, killed in the middle and taken up again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import copy_project, planned, run_snakemake

LIMIT_SECONDS = 300


def tiny_study(config: Path) -> None:
    """One model, one sample, the fewest lengths."""
    study = yaml.safe_load(config.read_text(encoding="utf-8"))
    study |= {"models": ["nano-llama"], "samples": 1}
    study["suites"] = {"ruler": {"lengths": [128]}, "depth": {"lengths": [256, 512]}}
    config.write_text(yaml.safe_dump(study), encoding="utf-8")


def run_and_kill(folder: Path) -> Path:
    """Start a run, kill it at its first prediction, and say which that is."""
    run = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--quiet", "all"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder / "src")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < end and run.poll() is None:
        found = list((folder / "results/nano/predictions").glob("*/*/*.jsonl"))
        if found:
            run.send_signal(signal.SIGKILL)
            run.wait()
            return found[0]
        time.sleep(0.2)
    run.kill()
    raise AssertionError(f"no prediction within {LIMIT_SECONDS} s; exit code {run.wait()}")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, float]:
    """A project whose run was killed and then finished; a prediction from before, and its time."""
    folder = copy_project(tmp_path_factory.mktemp("smoke"))
    tiny_study(folder / "config/config.yaml")
    kept = run_and_kill(folder)
    changed = kept.stat().st_mtime
    done = run_snakemake(folder, "--quiet", "all")
    assert done.returncode == 0, done.stderr
    return folder, kept, changed


@pytest.mark.slow
def test_a_killed_run_continues(finished: tuple[Path, Path, float]) -> None:
    """Without --unlock, and without computing again what was finished."""
    _, kept, changed = finished
    journal = kept.with_name(f"{kept.name}.journal")
    lines = journal.read_text(encoding="utf-8").splitlines()
    predictions = kept.read_text(encoding="utf-8").splitlines()
    # Equal prompts have one answer, so there may be fewer lines; none is there twice.
    assert len({json.loads(line)["key"] for line in lines}) == len(lines) <= len(predictions)
    assert kept.stat().st_mtime >= changed


@pytest.mark.slow
def test_every_table_is_there(finished: tuple[Path, Path, float]) -> None:
    tables = finished[0] / "results/nano/tables"
    for number in range(1, 19):
        for kind in ("md", "tex", "csv"):
            assert (tables / f"table_{number:02}.{kind}").stat().st_size > 0


@pytest.mark.slow
def test_a_finished_study_has_nothing_to_do(finished: tuple[Path, Path, float]) -> None:
    assert planned(finished[0]) == {}


@pytest.mark.slow
def test_a_deleted_table_is_rebuilt_alone(finished: tuple[Path, Path, float]) -> None:
    folder, _, _ = finished
    table = folder / "results/nano/tables/table_02.tex"
    before = table.read_bytes()
    table.unlink()
    assert planned(folder, "table_2") == {"table": 1, "table_2": 1}
    assert run_snakemake(folder, "table_2").returncode == 0
    assert table.read_bytes() == before


@pytest.mark.slow
def test_a_failed_job_is_not_forgotten(finished: tuple[Path, Path, float]) -> None:
    """Snakemake removes a failed job's old output, and would call the study finished without it."""
    folder, kept, _ = finished
    good = kept.read_bytes()
    kept.write_bytes(good + b"rubbish\n")
    first = run_snakemake(folder, "--quiet", "all")
    second = run_snakemake(folder, "--quiet", "all")
    assert first.returncode == second.returncode == 1
    (line,) = [
        line for line in second.stderr.splitlines() if "rubbish" in line or ".jsonl:" in line
    ]
    assert "delete the file and rerun snakemake" in line
    kept.write_bytes(good)
    assert run_snakemake(folder, "--quiet", "all").returncode == 0
