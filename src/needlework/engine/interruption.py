"""A polite request to stop: SIGTERM is noted, work in flight is finished if time allows."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

GRACE_SECONDS = 20.0
"""Slurm kills 30 seconds after its SIGTERM (KillWait); the journal needs a little of that, too."""
SAME_REQUEST_SECONDS = 3.0
"""On a cluster one request may come twice: from Slurm, and passed on by the job's Snakemake."""


class StoppedError(Exception):
    """The work was stopped from outside; everything finished so far is in the journal."""


class Interruption:
    """Whether a stop was requested, and whether the time to finish is over."""

    def __init__(self, *, grace: float = GRACE_SECONDS) -> None:
        self._grace = grace
        self._deadline: float | None = None

    def request(self) -> None:
        """Ask to stop: begin nothing new."""
        self._deadline = time.monotonic() + self._grace

    @property
    def requested(self) -> bool:
        """Whether nothing new should begin."""
        return self._deadline is not None

    @property
    def expired(self) -> bool:
        """Whether work in flight should be dropped, too."""
        return self._deadline is not None and time.monotonic() >= self._deadline


@contextmanager
def on_sigterm() -> Iterator[Interruption]:
    """An interruption that the first SIGTERM requests; a later one ends the process at once."""
    interruption = Interruption()
    came: list[float] = []

    def note(signum: int, frame: FrameType | None) -> None:
        del frame
        came.append(time.monotonic())
        if not interruption.requested:
            interruption.request()
        elif came[-1] - came[0] > SAME_REQUEST_SECONDS:
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)

    previous = signal.signal(signal.SIGTERM, note)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGTERM, previous)
