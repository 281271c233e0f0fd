"""How much what strangers wrote may take, who watches that, and what is said where it is more."""

import os
import resource
import select
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from needlework.errors import LimitError

FACTOR = "NEEDLEWORK_LIMITS"
"""The environment variable by which every limit is multiplied."""
MEGABYTE = 1 << 20
PULSE = 0.02
"""Seconds between two looks at a child."""
_ANSWERED = 16
"""So many bytes a byte of an answer may come to be here."""


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

    def out_of_time(self, what: str) -> LimitError:
        """What is said of something that is not done in time."""
        return _refused(what, f"more than {self.seconds:g} seconds")

    def out_of_memory(self, what: str) -> LimitError:
        """What is said of something that has grown too large."""
        return _refused(what, f"more than {self.megabytes:g} MB of memory")

    def check_answer(self, what: str, size: int) -> None:
        """Accept an answer of so many bytes.

        Raises:
            LimitError: here it would come to be more memory than there is for all.
        """
        most = self.megabytes / _ANSWERED
        if size > most * MEGABYTE:
            raise _refused(what, f"an answer of {size / MEGABYTE:.3g} MB, more than {most:.3g} MB")


def _refused(what: str, need: str) -> LimitError:
    return LimitError(
        f"{what}: needs {need}, all that what others wrote may take; if you trust it, set "
        f"{FACTOR}=4 for four times as much"
    )


def heard(
    child: int, file: int, *, what: str, limits: Limits, before: float = 0.0
) -> Iterator[bytes]:
    """What a child says, piece by piece, until it ends; it had so many megabytes `before`.

    Raises:
        LimitError: it takes more time or memory.
    """
    end = time.monotonic() + limits.seconds
    while True:
        if select.select([file], [], [], PULSE)[0]:
            if not (piece := os.read(file, MEGABYTE)):
                return
            yield piece
        if time.monotonic() > end:
            raise limits.out_of_time(what)
        if resident_megabytes(child) - before > limits.megabytes:
            raise limits.out_of_memory(what)


def resident_megabytes(process: int | None = None) -> float:
    """The memory that a process, this one by default, has now; 0 where the system does not say."""
    try:
        told = Path(f"/proc/{process or 'self'}/statm").read_text(encoding="ascii")
    except OSError:
        return 0.0
    return int(told.split()[1]) * resource.getpagesize() / MEGABYTE
