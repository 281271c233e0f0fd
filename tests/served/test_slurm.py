"""A server in a job of a real Slurm: one job for all cells, harmed twice, which loses nothing.

The Slurm is that of `tests/workflow/test_slurm.py`.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from tests.workflow.conftest import state
from tests.workflow.slurm_for_tests import (
    COMMAND,
    accounted,
    ask,
    cluster_project,
    finish,
    journal_lines,
    processes,
    queue,
    snakemake,
    until,
    words,
)

__all__ = ["state"]
pytestmark = [
    pytest.mark.served,
    pytest.mark.slurm,
    pytest.mark.slow,
    pytest.mark.xdist_group("slurm"),
]

MODEL = "nano-llama-served"
SAMPLES = 20
STUDY = {
    "study": "slice",
    "seed": 42,
    "samples": SAMPLES,
    "protocol": "corrected",
    "material": "nano",
    "suites": {"retrieval": {"tasks": ["niah_single_2", "vt"], "lengths": [256, 512]}},
    "models": [MODEL],
}
LENGTHS = (256, 512)
KEY = "sk-the-key-of-a-cluster-0123456789"
ENDED_SECONDS = 60
"""For a server that was told to end on a busy machine; its keeper gives it ten."""
LOOPBACK = """#!/bin/sh
# The command on a node that reaches nothing but itself.
exec unshare --net sh -c 'ip link set lo up; exec "$0" "$@"' {command} "$@"
"""


class Harmed(NamedTuple):
    """A study that was harmed twice and then finished."""

    folder: Path
    jobs: list[str]
    """Those that tried to answer, in order."""
    kept: list[dict[int, list[str]]]
    """The lines of both journals after each harm."""


@pytest.fixture(scope="module")
def harmed(state: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Harmed:
    """The second cell is under way when the first job is cancelled, and when the command of the
    second one gets SIGKILL."""
    folder = _project(tmp_path_factory.mktemp("served-slurm"), checkpoint)
    target = f"results/slice/predictions/{MODEL}/retrieval/512.jsonl"
    run = snakemake(folder, target, "--seconds-between-status-checks=2")
    jobs: list[str] = []
    kept = []
    try:
        for harm in (_cancel, _kill):
            began = len(journal_lines(_cell(folder, 512)))
            until(lambda began=began: len(journal_lines(_cell(folder, 512))) > began + 2, "answers")
            jobs += queue(folder).keys() - set(jobs)
            harm(folder, jobs[-1])
            _until_ended(folder)
            kept.append({length: journal_lines(_cell(folder, length)) for length in LENGTHS})
        until(lambda: queue(folder).keys() - set(jobs), "third job")
        jobs += queue(folder).keys() - set(jobs)
        finish(run)
    finally:
        run.kill()
    return Harmed(folder, jobs, kept)


def _project(folder: Path, checkpoint: Path) -> Path:
    cluster_project(folder, STUDY)
    shutil.rmtree(folder / "resources/served", ignore_errors=True)
    shutil.copytree(checkpoint, folder / "resources/served/nano-llama")
    # The server's environment, whose command another one has as well.
    (folder / "bin/transformers").symlink_to(str(shutil.which("transformers")))
    (folder / "bin/needlework").write_text(LOOPBACK.format(command=COMMAND), encoding="utf-8")
    path = folder / "config/models.yaml"
    text = path.read_text(encoding="utf-8")
    # One question at a time, so that there is a middle of a cell to harm.
    keys = "    gpus: 1\n    concurrency: 1\n    key: SERVER_KEY\n    serve: transf"
    path.write_text(text.replace("    serve: transf", keys), encoding="utf-8")
    path = folder / "config/cluster.yaml"
    cluster = yaml.safe_load(path.read_text(encoding="utf-8"))
    # Of 6000 a node; it grows with every try.
    cluster |= {"gpus": 0, "memory": 1900, "constraint": None}
    path.write_text(yaml.safe_dump(cluster), encoding="utf-8")
    secrets = folder / "keys"
    secrets.touch(mode=0o600)
    secrets.write_text(f"export SERVER_KEY={KEY}\n", encoding="utf-8")
    path = folder / "profiles/slurm/config.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("precommand: ", f"precommand: . {secrets} && "), encoding="utf-8")
    return folder


def _cell(folder: Path, length: int) -> Path:
    return folder / f"results/slice/served/{MODEL}/retrieval/{length}.jsonl"


def _cancel(folder: Path, job: str) -> None:
    ask("scancel", job)


def _kill(folder: Path, job: str) -> None:
    # A child of the command, which reads with the tokenizer, is called as it is, and ends with it.
    commands = [pid for pid in _of(folder, "served") if str(COMMAND) in words(pid)]
    (pid,) = [pid for pid in commands if _parent(pid) not in commands]
    os.kill(pid, signal.SIGKILL)


def _of(folder: Path, word: str) -> list[int]:
    """Processes of a project with a word in their command line."""
    return [pid for pid in processes() if word in words(pid) and _place(pid) == folder]


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _place(pid: int) -> Path | None:
    try:
        return Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return None  # It has just ended.


def _until_ended(folder: Path) -> None:
    """Wait until no server is left, and nothing of the command."""
    end = time.monotonic() + ENDED_SECONDS
    while _of(folder, "serve") or _of(folder, "served"):
        assert time.monotonic() < end, f"a server is left after {ENDED_SECONDS} s"
        time.sleep(0.1)


def test_one_job_answers_all_cells_with_its_gpus(harmed: Harmed) -> None:
    """Three tries of one job; cells are no jobs."""
    logs = {path.parent.parent.name for path in (harmed.folder / "logs/slurm").rglob("*.log")}
    assert logs == {"rule_served"}
    assert len(harmed.jobs) == 3
    asked = accounted(set(harmed.jobs), "ReqTRES")
    assert all("gres/gpu:a100=1" in line or "gres/gpu=1" in line for line in asked)
    for length in LENGTHS:
        assert len(_cell(harmed.folder, length).read_text().splitlines()) == 2 * SAMPLES


def test_the_harmed_jobs_failed_and_the_last_one_went_on(harmed: Harmed) -> None:
    states = [accounted({job})[0].split()[0] for job in harmed.jobs]
    assert states == ["CANCELLED", "FAILED", "COMPLETED"]


def test_nothing_answered_is_asked_again(harmed: Harmed) -> None:
    for length in LENGTHS:
        lines = journal_lines(_cell(harmed.folder, length))
        assert all(lines[: len(kept[length])] == kept[length] for kept in harmed.kept)
        keys = [json.loads(line)["key"] for line in lines]
        assert len(set(keys)) == len(keys) == 2 * SAMPLES
    counts = [len(kept[512]) for kept in harmed.kept]
    assert 0 < counts[0] < counts[1] < 2 * SAMPLES


def test_the_last_job_had_one_server(harmed: Harmed) -> None:
    log = harmed.folder / f"logs/slice/served/{MODEL}.server.txt"
    assert log.read_text().count("Uvicorn running") == 1


def test_a_key_from_a_file_is_on_no_disk(harmed: Harmed, state: Path) -> None:
    """Slurm writes down the environment of `sbatch`, which has no key; the jobs read it."""
    assert any(path.stat().st_size for path in state.rglob("job.*/environment"))
    words = ["grep", "-rlaF", KEY, str(harmed.folder), str(state)]
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    assert found.stdout.split() == [str(harmed.folder / "keys")]
