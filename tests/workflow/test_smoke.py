"""The whole chain with a real model: table by table, killed in the middle and taken up again.

One table costs one table: what it does not show is not answered, and nothing twice.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from tests.workflow.conftest import copy_project, planned, run_snakemake

LIMIT_SECONDS = 300
RULER, DEPTH, FORMATS_AND_DEPTHS = 13, 21, 9
"""Tasks of both suites, and those that Table 4 shows."""


def tiny_study(config: Path) -> None:
    """One model, one sample, the fewest lengths."""
    study = yaml.safe_load(config.read_text(encoding="utf-8"))
    study |= {"models": ["nano-llama"], "samples": 1}
    study["suites"] = {"ruler": {"lengths": [128]}, "depth": {"lengths": [256, 512]}}
    config.write_text(yaml.safe_dump(study), encoding="utf-8")


def journaled(folder: Path) -> list[str]:
    """The key of every answer that was computed, wherever its journal lies."""
    journals = (folder / "results/nano").rglob("*.jsonl.journal")
    lines = [line for path in journals for line in path.read_text(encoding="utf-8").splitlines()]
    return [json.loads(line)["key"] for line in lines]


def ask(folder: Path, *targets: str) -> list[str]:
    done = run_snakemake(folder, *targets, "--quiet", "all")
    assert done.returncode == 0, done.stderr
    return journaled(folder)


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


class Lone(NamedTuple):
    """A project after its first tables, and what had been answered after each of them."""

    folder: Path
    table: bytes
    """Table 6, asked for alone."""
    first: list[str]
    again: list[str]
    more: list[str]


@pytest.fixture(scope="module")
def lone(tmp_path_factory: pytest.TempPathFactory) -> Lone:
    """Nothing was there: Table 6, the same again, then Table 4."""
    folder = copy_project(tmp_path_factory.mktemp("smoke"))
    tiny_study(folder / "config/config.yaml")
    first = ask(folder, "table_6")
    table = (folder / "results/nano/tables/table_06.csv").read_bytes()
    return Lone(folder, table, first, ask(folder, "table_6"), ask(folder, "table_4"))


@pytest.fixture(scope="module")
def finished(lone: Lone) -> tuple[Path, Path, float]:
    """The same project after a run of everything that was killed, and then finished; a prediction
    from before that, and its time."""
    folder = lone.folder
    kept = run_and_kill(folder)
    changed = kept.stat().st_mtime
    done = run_snakemake(folder, "--quiet", "all")
    assert done.returncode == 0, done.stderr
    return folder, kept, changed


@pytest.mark.slow
def test_asking_for_more_answers_only_the_rest(
    lone: Lone, finished: tuple[Path, Path, float]
) -> None:
    """Table 6 shows one task, Table 4 nine at two lengths; a whole study shows everything."""
    folder, _, _ = finished
    assert len(lone.first) == 1
    assert lone.again == lone.first
    assert 1 < len(lone.more) <= 1 + 2 * FORMATS_AND_DEPTHS
    whole = journaled(folder)
    assert len(whole) == len(set(whole)) <= RULER + 2 * DEPTH
    assert set(lone.more) < set(whole)
    assert (folder / "results/nano/tables/table_06.csv").read_bytes() == lone.table
    assert ask(folder, "table_4", "table_6") == whole


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
    # By its name, so that no run makes the tables of what there is as well.
    first = run_snakemake(folder, "table_all", "--quiet", "all")
    second = run_snakemake(folder, "table_all", "--quiet", "all")
    assert first.returncode == second.returncode == 1
    (line,) = [
        line for line in second.stderr.splitlines() if "rubbish" in line or ".jsonl:" in line
    ]
    assert "delete the file and rerun snakemake" in line
    kept.write_bytes(good)
    again = run_snakemake(folder, "results/nano/estimates.parquet", "--quiet", "all")
    assert again.returncode == 0, again.stderr
