"""Work on what strangers wrote, within limits of time and memory that are told where they end it.

Knows processes and threads; does not know what is done in them. A process that a limit ends writes
nothing: what a stranger's program wants to be is never half of a file of ours.
"""

import ctypes
import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from needlework import errors
from needlework.errors import NeedleworkError

Result = TypeVar("Result")

FACTOR = "NEEDLEWORK_LIMITS"
"""The environment variable by which every limit is multiplied."""
MEGABYTE = 1 << 20
LONGEST_ANSWER = 16 * MEGABYTE
_WAITS = 10
"""A child may wait for a processor that many times as long as it may compute."""
_PULSE = 0.02
_PARENT_DIES = 1
"""PR_SET_PDEATHSIG of Linux's prctl: a child does not outlive its parent."""


class LimitError(NeedleworkError):
    """Something of a stranger's that takes more time or memory than it may have."""


class Limits(NamedTuple):
    """How much time, and how much memory beyond what there is already."""

    seconds: float
    megabytes: float

    def here(self) -> "Limits":
        """The limits as the environment has them.

        Raises:
            LimitError: what it says is no positive number.
        """
        told = os.environ.get(FACTOR, "1")
        try:
            factor = float(told)
        except ValueError:
            factor = 0.0
        if not 0 < factor < float("inf"):
            raise LimitError(
                f"{FACTOR}={told}: not a positive number, say 4 for four times as much"
            )
        return Limits(self.seconds * factor, self.megabytes * factor)

    def exceeded(self, what: str, *, by: Literal["time", "memory"]) -> LimitError:
        """What is said when one of them is."""
        limit = f"{self.seconds:g} seconds" if by == "time" else f"{self.megabytes:g} MB of memory"
        return LimitError(
            f"{what}: needs more than {limit}, all that what others wrote may take; if you trust "
            f"it, set {FACTOR}=4 for four times as much"
        )


def in_child(function: Callable[[], Any], *, what: str, limits: Limits) -> Any:  # noqa: ANN401
    """What a function gives, as JSON has it, computed in a child process within limits.

    Raises:
        LimitError: it needs more.
        NeedleworkError: the function raised one.
    """
    limits = limits.here()
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        _compute(function, write, limits)
    os.close(write)
    told = _heard(read, limits.seconds * _WAITS)
    os.close(read)
    if told is None:
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if not told:
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            raise RuntimeError(f"{what}: the child process failed, with the traceback above")
        late = told is None or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU)
        raise limits.exceeded(what, by="time" if late else "memory")
    kind, content = json.loads(told)
    if kind == "result":
        return content
    raise getattr(errors, kind, NeedleworkError)(content)


def _compute(function: Callable[[], Any], write: int, limits: Limits) -> None:
    """The child: it says what the function gives, or why not, and ends."""
    status = 1
    try:
        _limit_this_process(limits)
        try:
            told = ["result", function()]
        except NeedleworkError as error:
            told = [type(error).__name__, str(error)]
        except (MemoryError, RecursionError):
            told = []
        with os.fdopen(write, "wb") as out:
            out.write(json.dumps(told).encode() if told else b"")
        status = 0
    finally:
        if sys.exc_info()[0] is not None:
            traceback.print_exc()
        os._exit(status)


def _limit_this_process(limits: Limits) -> None:
    seconds = max(1, round(limits.seconds))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        most = size + round(limits.megabytes * MEGABYTE)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _heard(read: int, seconds: float) -> bytes | None:
    """All that a child says; None where that takes too long or is too much."""
    end, found = time.monotonic() + seconds, bytearray()
    while (left := end - time.monotonic()) > 0 and len(found) <= LONGEST_ANSWER:
        if select.select([read], [], [], left)[0]:
            piece = os.read(read, 1 << 16)
            if not piece:
                return bytes(found)
            found += piece
    return None


def in_thread(function: Callable[[], Result], *, what: str, limits: Limits) -> Result:
    """What a function gives that leaves Python alone while it computes, awaited within limits.

    A thread cannot be ended: where a limit is exceeded it goes on until the process ends, which is
    what the error is for.

    Raises:
        LimitError: it needs more.
        Exception: what the function raised.
    """
    limits = limits.here()
    outcome: _Outcome[Result] = _Outcome()
    thread = threading.Thread(target=outcome.compute, args=(function,), daemon=True)
    began, before = time.monotonic(), resident_megabytes()
    thread.start()
    while thread.is_alive():
        thread.join(_PULSE)
        if time.monotonic() - began > limits.seconds:
            raise limits.exceeded(what, by="time")
        if resident_megabytes() - before > limits.megabytes:
            raise limits.exceeded(what, by="memory")
    if isinstance(outcome.error, Exception):
        raise outcome.error
    if outcome.error is not None:  # A library of Rust that panics raises a kind of its own.
        raise RuntimeError(str(outcome.error)) from outcome.error
    return outcome.result


class _Outcome(Generic[Result]):
    """What became of a function in another thread."""

    result: Result
    error: BaseException | None = None

    def compute(self, function: Callable[[], Result]) -> None:
        with self:
            self.result = function()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> bool:
        self.error = error
        return True


def resident_megabytes(process: int | None = None) -> float:
    """The memory that a process, this one by default, has now; 0 where the system does not say."""
    try:
        told = Path(f"/proc/{process or 'self'}/statm").read_text(encoding="ascii")
    except OSError:
        return 0.0
    return int(told.split()[1]) * resource.getpagesize() / MEGABYTE


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
            time.sleep(_PULSE)
        child = 0
    finally:
        if child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(ended[1]) % 256
