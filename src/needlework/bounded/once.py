"""A function that is carried out once in a child process, and gives what JSON can say."""

import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from needlework import errors
from needlework.bounded.limits import MEGABYTE, Limits
from needlework.errors import NeedleworkError

LONGEST_ANSWER = 16 * MEGABYTE
_WAITS = 10
"""A child may wait for a processor that many times as long as it may compute."""


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
