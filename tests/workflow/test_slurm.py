"""`snakemake --profile slurm` on a real Slurm with three nodes of one GPU each.

The Slurm is started by `slurm_up.sh STATE --nodes 3 --mem 6000 --with-dbd` of the reference
material, which `.ci/run` does. Its GPUs are devices without a driver, so cells compute on CPUs.
"""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.workflow.slurm_for_tests import (
    Caught,
    accounted,
    ask,
    catch,
    cluster_project,
    finish,
    journal_lines,
    kill_node,
    queue,
    snakemake,
    start_node,
    until,
)

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.xdist_group("slurm")]

STUDY = {
    "study": "slice",
    "seed": 42,
    "samples": 2,
    "protocol": "corrected",
    "material": "nano",
    "suites": {
        "ruler": {"lengths": [128], "tasks": ["niah_single_2", "vt"]},
        "depth": {"lengths": [256, 512], "tasks": ["niah_essay_uuids_0", "niah_repeat_numbers_50"]},
    },
    "tables": "auto",
    "models": ["nano-llama"],
}
CELLS = [
    f"results/slice/predictions/nano-llama/{cell}.jsonl"
    for cell in ("ruler/128", "depth/256", "depth/512")
]
LONG = [
    f"results/slice/predictions/nano-llama/ruler/{length}.jsonl" for length in (512, 1024, 2048)
]
HARMED_TASKS = ["niah_single_2", "niah_multikey_2", "niah_multiquery", "vt", "fwe"]
HARMED_SAMPLES = 65
"""Enough that a cell whose first samples are finished has not yet read all its prompts.

Of the 325 of a cell 64 are answered together, and its second run is harmed after 64 more.
"""
HARMED = STUDY | {
    "samples": HARMED_SAMPLES,
    "suites": {"ruler": {"lengths": [512, 1024, 2048], "tasks": HARMED_TASKS}},
}


@pytest.fixture(scope="module")
def project(state: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after a run of its three cells on the cluster."""
    folder = cluster_project(tmp_path_factory.mktemp("slurm"), STUDY)
    finish(snakemake(folder, "results/slice/estimates.parquet"))
    return folder


def jobs_of(project: Path, cell: str) -> list[str]:
    """The Slurm jobs that tried to compute a cell, in order, from Snakemake's own logs."""
    logs = sorted((project / ".snakemake/log").glob("*.log"))
    place = "rule_predict/" + "_".join(Path(cell).with_suffix("").parts[-3:]) + "/"
    lines = [line for log in logs for line in log.read_text().splitlines() if place in line]
    found = [line.split("SLURM jobid ")[1].split()[0] for line in lines if "SLURM jobid " in line]
    return list(dict.fromkeys(found))


def test_every_cell_is_a_job_with_its_gpu_and_memory(project: Path) -> None:
    assert all((project / cell).stat().st_size > 0 for cell in CELLS)
    assert (project / "results/slice/estimates.parquet").stat().st_size > 0
    jobs = {job for cell in CELLS for job in jobs_of(project, cell)}
    rows = [row.split("|") for row in accounted(jobs, "State,NNodes,ReqTRES")]
    assert len(rows) == len(CELLS)
    for status, nodes, asked in rows:
        assert (status, nodes) == ("COMPLETED", "1")
        assert {"gres/gpu:a100=1", "mem=1500M", "cpu=2"} <= set(asked.split(","))


def test_cells_run_on_every_node_without_a_network(project: Path) -> None:
    """The command runs in a network namespace of its own, and is told not to look for the hub."""
    notes = (project / "notes").read_text().split("\n")[: len(CELLS)]
    assert sorted(notes) == [f"n{node} HF_HUB_OFFLINE=1" for node in (1, 2, 3)]


def test_shards_merge_to_the_bytes_of_the_whole_cell(project: Path, tmp_path: Path) -> None:
    split = cluster_project(tmp_path / "split", STUDY | {"shards": 2})
    finish(snakemake(split, CELLS[1]))
    parts = sorted(path.name for path in (split / "results/slice/shards").glob("*/*/*/*.jsonl"))
    assert parts == ["1of2.jsonl", "2of2.jsonl"]
    assert (split / CELLS[1]).read_bytes() == (project / CELLS[1]).read_bytes()


@pytest.fixture(scope="module")
def interrupted(
    state: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, str], list[str]]:
    """A project whose Snakemake was told to stop (Ctrl-C) while it computed a cell; the queue then,
    and what the cell had finished."""
    folder = cluster_project(tmp_path_factory.mktemp("harm"), HARMED)
    run = snakemake(folder, LONG[1])
    (caught,) = catch(folder, LONG[1:2])
    run.send_signal(signal.SIGINT)
    said, _ = run.communicate(timeout=120)
    assert run.returncode != 0, said
    until(lambda: set(queue(folder).values()) <= {"CG"}, "end of the cancelled job")
    return folder, queue(folder), caught.finished


def test_ctrl_c_cancels_the_jobs(interrupted: tuple[Path, dict[str, str], list[str]]) -> None:
    folder, _, finished = interrupted
    (job,) = jobs_of(folder, LONG[1])
    assert accounted({job})[0].startswith("CANCELLED")
    assert not (folder / LONG[1]).exists()
    assert journal_lines(folder / LONG[1])[: len(finished)] == finished


@pytest.fixture(scope="module")
def harmed(
    state: Path, interrupted: tuple[Path, dict[str, str], list[str]]
) -> tuple[Path, dict[str, Caught]]:
    """The same project's next run: one cell loses its node, one is told to end, one outlasts its
    limit, each after its first samples."""
    folder, _, _ = interrupted
    until(lambda: not queue(folder), "empty queue")
    run = snakemake(folder, *LONG)
    caught = dict(zip(LONG, catch(folder, LONG), strict=True))
    lost, told, limited = caught.values()
    ask("scontrol", "update", f"JobId={limited.job}", "TimeLimit=1")
    ask("scancel", "--signal=TERM", told.job)
    os.kill(told.pid, signal.SIGCONT)
    kill_node(state, lost)
    until(lambda: queue(folder).get(lost.job) == "PD", "job that is queued again")
    ask("scontrol", "update", f"JobId={lost.job}", "StartTime=now")
    finish(run)
    start_node(state, lost.node)
    return folder, caught


def test_nothing_finished_is_computed_again(harmed: tuple[Path, dict[str, Caught]]) -> None:
    folder, caught = harmed
    for cell, before in caught.items():
        lines = journal_lines(folder / cell)
        assert lines[: len(before.finished)] == before.finished
        keys = [json.loads(line)["key"] for line in lines]
        assert len(set(keys)) == len(keys) == HARMED_SAMPLES * len(HARMED_TASKS)
        assert len((folder / cell).read_text().splitlines()) == len(keys)


def test_a_job_at_its_limit_is_tried_again_with_more(
    harmed: tuple[Path, dict[str, Caught]],
) -> None:
    """Its warning comes at once; whether it still ends by itself is up to the machine."""
    folder, caught = harmed
    first, second = jobs_of(folder, LONG[2])
    assert first == caught[LONG[2]].job
    assert accounted({first}, "State,Timelimit")[0] in ("TIMEOUT|00:01:00", "FAILED|00:01:00")
    assert accounted({second}, "State,Timelimit,ReqMem") == ["COMPLETED|00:10:00|3000M"]


def test_a_job_that_is_told_to_end_says_how_far_it_came(
    harmed: tuple[Path, dict[str, Caught]],
) -> None:
    """As before its time limit, or when another job preempts it."""
    folder, _ = harmed
    _, first, second = jobs_of(folder, LONG[1])
    assert [accounted({job}) for job in (first, second)] == [["FAILED"], ["COMPLETED"]]
    log = folder / f"logs/slurm/rule_predict/nano-llama_ruler_1024/{first}.log"
    assert "nano-llama/ruler/1024 stopped at" in log.read_text()


def test_a_job_whose_node_dies_is_queued_again_by_slurm(
    harmed: tuple[Path, dict[str, Caught]],
) -> None:
    folder, caught = harmed
    (job,) = jobs_of(folder, LONG[0])
    assert job == caught[LONG[0]].job
    assert accounted({job}) == ["NODE_FAIL", "COMPLETED"]
