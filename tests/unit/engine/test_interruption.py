"""One request to stop may come twice on a cluster; a second request is another matter."""

import os
import signal
import subprocess
import sys

from needlework.engine.interruption import on_sigterm

INSISTING = """
import os, signal
from needlework.engine import interruption
interruption.SAME_REQUEST_SECONDS = 0.0
with interruption.on_sigterm():
    os.kill(os.getpid(), signal.SIGTERM)
    print("goes on", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    print("still there", flush=True)
"""


def test_the_same_request_twice_ends_nothing() -> None:
    """Slurm tells every process of a job, and the job's Snakemake passes on what it was told."""
    with on_sigterm() as interruption:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.requested


def test_a_later_request_ends_the_process() -> None:
    command = [sys.executable, "-c", INSISTING]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGTERM
    assert done.stdout == "goes on\n"
