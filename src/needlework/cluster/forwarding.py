"""Passes on the SIGTERM that announces the end of a job on a cluster.

Slurm tells only the first process of a job's step (with proctrack/cgroup), which is a Snakemake
that would wait for its command in peace until both are killed.
"""

import os
import signal
from threading import Thread


def pass_on_sigterm() -> None:
    """From now on the first SIGTERM of this process reaches all of its process group.

    A process that leads no group passes on nothing: others of its group have not been asked to end.
    Works beside whatever handler the process installs; call it in the main thread.
    """
    if os.getpgrp() != os.getpid():
        return
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    Thread(target=_pass_on, args=(heard,), daemon=True).start()


def _pass_on(heard: int) -> None:
    """Wait for a SIGTERM among the signals."""
    while number := os.read(heard, 1):
        if number[0] == signal.SIGTERM:
            os.killpg(0, signal.SIGTERM)
            return
