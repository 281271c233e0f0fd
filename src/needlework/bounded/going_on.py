"""A command that goes on in a child process, which its parent watches."""

import ctypes
import os
import select
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from needlework.bounded.limits import PULSE, Limits, resident_megabytes

_PARENT_DIES = 1
"""PR_SET_PDEATHSIG of Linux's prctl: a child does not outlive its parent."""


def go_on_in_child(*, what: str, limits: Limits) -> Callable[[], None]:
    """Return in a child process; the parent watches it, and ends with its exit code.

    What is returned ends the watch, for what the user has asked for and may take what it needs.
    Nothing happens in a process that has begun other threads, which a child would not have.
    Temporary files of the child are removed however it ends.

    Raises:
        LimitError: in the parent: the child needed more.
        SystemExit: in the parent: the child has ended.
    """
    if _has_threads():
        return lambda: None
    limits = limits.here()
    scratch = tempfile.mkdtemp(prefix="needlework-")
    freed, free = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        os.close(freed)
        tempfile.tempdir = scratch
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PARENT_DIES, signal.SIGKILL)
        return lambda: _say(free)
    os.close(free)
    try:
        sys.exit(_watched(child, freed, what, limits))
    finally:
        os.close(freed)
        shutil.rmtree(scratch, ignore_errors=True)


def _say(free: int) -> None:
    os.write(free, b"x")


def _has_threads() -> bool:
    """Whether this process has threads of its own or of a library."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) > 1 if tasks.is_dir() else threading.active_count() > 1


def _watched(child: int, freed: int, what: str, limits: Limits) -> int:
    """The exit code of a child that stays within its limits, as long as it has some."""
    began = time.monotonic()
    try:
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            if select.select([freed], [], [], 0)[0] and os.read(freed, 1):
                ended = os.waitpid(child, 0)
                break
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
