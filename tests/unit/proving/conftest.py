"""One run of the whole command at toy sizes, and a worker that does what a test wants."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, NamedTuple

import pytest

from needlework.proving import running
from needlework.proving.running import Run

ROOT = Path(__file__).parents[3]


class Proven(NamedTuple):
    """What one run said, and where its files are."""

    folder: Path
    said: str


def run_command(*words: str, folder: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    """A `needlework` command in a process without a GPU."""
    return subprocess.run(
        [sys.executable, "-c", "from needlework.cli import main; main()", *words],
        cwd=folder,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def proven(tmp_path_factory: pytest.TempPathFactory) -> Proven:
    """Every step at toy sizes, through the command line."""
    folder = tmp_path_factory.mktemp("prove") / "out"
    done = run_command("prove", "--output", str(folder))
    assert done.returncode == 0, done.stderr
    return Proven(folder, done.stdout)


FACTS = """
    write_step(folder, StepRecord(name="facts", title="device", status="done", result=Facts(
        device="DEVICE", name="NAME", capability=None, memory=1, driver=None, cuda=None,
        python="3", torch="2", triton=None, packages={}, code="c")))
"""
WORKER = """
import os, signal, sys, time
from pathlib import Path
from needlework.proving.records import *
from needlework.proving.steps import FACTS, SCALES, steps
folder = Path(sys.argv[1])
known = {step.name: step for each in SCALES for step in steps(SCALES[each], build=True)}
for line in sys.stdin:
    name = line.strip()
    with open(folder / "asked", "a") as asked:
        asked.write(name + "\\n")
    if name == "facts":
        FACTS_HERE
        print(name, flush=True)
        continue
    MISHAP
    write_step(folder, StepRecord(name=name, title=known[name].title, status="done", seconds=0,
        result=Peaks(dtype="float32", flops=FLOPS, bandwidth=1e12)))
    print(name, flush=True)
"""

Install = Callable[..., Path]


@pytest.fixture
def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Let workers pretend: every step is done at once, but for a mishap in Python."""

    def install(
        mishap: str = "pass", *, device: str = "cpu", name: str = "a CPU", flops: float = 3e14
    ) -> Path:
        facts = FACTS.replace("DEVICE", device).replace("NAME", name).strip()
        script = tmp_path / "worker.py"
        text = WORKER.replace("FACTS_HERE", facts.replace("\n", "\n        "))
        text = text.replace("FLOPS", str(flops))
        script.write_text(text.replace("MISHAP", mishap.replace("\n", "\n    ")))

        def start(
            run: Run, device: str, words: IO[str], environment: dict[str, str]
        ) -> "subprocess.Popen[str]":
            return subprocess.Popen(
                [sys.executable, str(script), str(run.folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=words,
                text=True,
                env=os.environ | environment,
                start_new_session=True,
            )

        monkeypatch.setattr(running, "_start", start)
        return tmp_path / "out"

    return install
