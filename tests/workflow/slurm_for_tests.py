"""The project on a real Slurm, and the harm that befalls jobs there."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from tests.workflow.conftest import ROOT, copy_project

WAIT_SECONDS = 400
"""Far above what anything here takes, on a machine that does other things as well."""
COMMAND = Path(sys.executable).parent / "needlework"
SHIM = """#!/bin/sh
# The command without a network; notes what it was called for, where and how.
[ "$1" = predict ] && echo "$SLURMD_NODENAME HF_HUB_OFFLINE=$HF_HUB_OFFLINE" >> {notes}
exec unshare --net {command} "$@"
"""

DAEMONS: "list[subprocess.Popen[bytes]]" = []
"""Those that outlive a test: `slurm_down.sh` ends them, and nobody waits for them here."""


def cluster_project(folder: Path, study: dict[str, object]) -> Path:
    """A copy of the project whose study is small and whose jobs are."""
    folder.mkdir(exist_ok=True)
    copy_project(folder)
    (folder / "slurm").symlink_to("profiles/slurm")
    (folder / "config/config.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    cluster = yaml.safe_load((ROOT / "config/cluster.yaml").read_text(encoding="utf-8"))
    cluster |= {"partition": "gpu", "account": "proj", "memory": 1500, "runtime": 5}
    (folder / "config/cluster.yaml").write_text(yaml.safe_dump(cluster), encoding="utf-8")
    shim = folder / "bin/needlework"
    shim.parent.mkdir()
    shim.write_text(SHIM.format(notes=folder / "notes", command=COMMAND), encoding="utf-8")
    shim.chmod(0o755)
    return folder


def snakemake(folder: Path, *targets: str) -> "subprocess.Popen[str]":
    """Start Snakemake under the profile, in its own process group."""
    environment = os.environ | {
        "PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(folder / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    words = [*targets, "--profile", "slurm", "--configfile", "config/config.yaml"]
    words += ["--slurm-init-seconds-before-status-checks=2", "--latency-wait=5"]
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(run: "subprocess.Popen[str]", *, seconds: int = WAIT_SECONDS) -> str:
    """What a run says until it ends well, which it has so long for."""
    try:
        said, _ = run.communicate(timeout=seconds)
    finally:
        run.kill()
    assert run.returncode == 0, said[-4000:]
    return said


def until(found: Callable[[], object], what: str) -> None:
    """Wait until it is there."""
    end = time.monotonic() + WAIT_SECONDS
    while not found():
        assert time.monotonic() < end, f"no {what} within {WAIT_SECONDS} s"
        time.sleep(0.1)


def ask(*command: str) -> list[str]:
    """The lines that a command of Slurm prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()


def queue(folder: Path) -> dict[str, str]:
    """The state of every job of a project in the queue, by its number."""
    rows = (line.split(maxsplit=2) for line in ask("squeue", "-h", "-o", "%i %t %Z"))
    return {job: state for job, state, place in rows if Path(place) == folder}


def accounted(jobs: set[str], what: str = "State") -> list[str]:
    """What the accounting database says of jobs."""
    words = ["sacct", "-X", "-n", "-P", "--duplicates", "-j", ",".join(sorted(jobs)), "-o", what]
    return ask(*words)


def journal_lines(predictions: Path) -> list[str]:
    """The whole lines of a cell's journal so far."""
    journal = predictions.with_name(f"{predictions.name}.journal")
    text = journal.read_text(encoding="utf-8") if journal.exists() else ""
    return [line for line in text.splitlines(keepends=True) if line.endswith("\n")]


class Caught(NamedTuple):
    """The process that computes a cell, frozen after its first finished samples."""

    pid: int
    job: str
    node: str
    finished: list[str]
    """The lines of the journal then."""


def catch(folder: Path, cells: Sequence[str]) -> list[Caught]:
    """Freeze every cell as soon as it has finished a few samples in this run."""
    began = {cell: len(journal_lines(folder / cell)) for cell in cells}
    caught: dict[str, Caught] = {}

    def all_caught() -> bool:
        for cell in cells:
            if cell not in caught and len(journal_lines(folder / cell)) > began[cell] + 2:
                caught[cell] = _freeze(folder, cell)
        return len(caught) == len(cells)

    until(all_caught, f"samples of {', '.join(cells)}")
    return [caught[cell] for cell in cells]


def _freeze(folder: Path, cell: str) -> Caught:
    found = [pid for pid in processes() if _computes(pid, folder, cell)]
    # A child that has not yet become another program still carries its parent's command line.
    (pid,) = [pid for pid in found if _parent(pid) not in found]
    os.kill(pid, signal.SIGSTOP)
    variables = environment(pid)
    return Caught(
        pid=pid,
        job=variables["SLURM_JOB_ID"],
        node=variables["SLURMD_NODENAME"],
        finished=journal_lines(folder / cell),
    )


def kill_node(state: Path, caught: Caught) -> None:
    """Everything on the node of a cell is gone at once: its daemon and the whole job."""
    os.kill(int((state / f"run/slurmd-{caught.node}.pid").read_text()), signal.SIGKILL)
    for pid in processes():
        step = words(pid)[:1] and words(pid)[0].startswith(f"slurmstepd: [{caught.job}.")
        if step or environment(pid).get("SLURM_JOB_ID") == caught.job:
            os.kill(pid, signal.SIGKILL)


def start_node(state: Path, node: str) -> None:
    """Let a node come back."""
    daemon = subprocess.Popen(
        ["slurmd", "-D", "-N", node],
        env=os.environ | {"SLURM_CONF": str(state / "slurm.conf")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    DAEMONS.append(daemon)
    (state / f"run/slurmd-{node}.pid").write_text(str(daemon.pid))


def processes() -> list[int]:
    return [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()]


def words(pid: int) -> list[str]:
    """The command line of a process; empty for one that has just ended."""
    return _read(pid, "cmdline")


def environment(pid: int) -> dict[str, str]:
    pairs = (entry.partition("=") for entry in _read(pid, "environ"))
    return {name: value for name, _, value in pairs}


def _read(pid: int, file: str) -> list[str]:
    try:
        return Path(f"/proc/{pid}/{file}").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def _computes(pid: int, folder: Path, predictions: str) -> bool:
    """Whether a process computes this cell of this project; others have cells of the same name."""
    command = words(pid)
    if not ("predict" in command and predictions in command and str(COMMAND) in command):
        return False
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == folder
    except OSError:
        return False  # It has just ended.


def _parent(pid: int) -> int | None:
    for line in _read(pid, "status")[:1]:
        return int(line.partition("PPid:")[2].split()[0])
    return None
