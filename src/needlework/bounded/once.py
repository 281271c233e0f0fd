"""A function that is carried out once in a child process, and gives what JSON can say."""

import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from needlework.bounded.apart import Apart
from needlework.bounded.limits import MEGABYTE, Limits

_WAITS = 10
"""A child may wait for a processor that many times as long as it may compute."""


def in_child(function: Callable[[], Any], *, what: str, limits: Limits) -> Any:  # noqa: ANN401
    """What a function gives, as JSON has it, computed in a child process within limits.

    Raises:
        LimitError: it needs more.
        NeedleworkError: the function raised one.
    """
    here = limits.here()

    def compute(_: bytes) -> bytes:
        _limit_this_process(here)
        return json.dumps(function()).encode()

    patient = limits._replace(seconds=limits.seconds * _WAITS)
    child = Apart(lambda: compute, what=what, limits=patient)
    try:
        return json.loads(child.ask(b"", what=what, limits=patient))
    except TimeoutError as error:
        raise here.out_of_time(what) from error
    finally:
        child.end()


def _limit_this_process(limits: Limits) -> None:
    """Let the system end what computes for too long, and refuse it memory."""
    seconds = max(1, round(limits.seconds))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    if sys.platform == "linux":
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        most = size + round(limits.megabytes * MEGABYTE)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
