"""A command that goes on in a child process, which its parent watches."""

import ctypes
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from needlework.bounded.limits import PULSE, Limits, resident_megabytes

_PARENT_DIES = 1
"""PR_SET_PDEATHSIG of Linux's prctl: a child does not outlive its parent."""


def go_on_in_child(*, what: str, limits: Limits) -> None:
    """Return in a child process; the parent watches it, and ends with its exit code.

    Nothing happens in a process that has begun other threads, which a child would not have.
    Temporary files of the child are removed however it ends.

    Raises:
        LimitError: in the parent: the child needed more.
        SystemExit: in the parent: the child has ended.
    """
    if _has_threads():
        return
    limits = limits.here()
    scratch = tempfile.mkdtemp(prefix="needlework-")
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        tempfile.tempdir = scratch
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PARENT_DIES, signal.SIGKILL)
        return
    try:
        sys.exit(_watched(child, what, limits))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _has_threads() -> bool:
    """Whether this process has threads of its own or of a library."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) > 1 if tasks.is_dir() else threading.active_count() > 1


def _watched(child: int, what: str, limits: Limits) -> int:
    """The exit code of a child that stays within its limits."""
    began = time.monotonic()
    try:
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            if time.monotonic() - began > limits.seconds:
                raise limits.exceeded(what, by="time")
            if resident_megabytes(child) > limits.megabytes:
                raise limits.exceeded(what, by="memory")
            time.sleep(PULSE)
        child = 0
    finally:
        if child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(ended[1]) % 256
