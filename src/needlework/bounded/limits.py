"""How much what strangers wrote may take, and what is said where it takes more."""

import os
import resource
from pathlib import Path
from typing import Literal, NamedTuple

from needlework.errors import NeedleworkError

FACTOR = "NEEDLEWORK_LIMITS"
"""The environment variable by which every limit is multiplied."""
MEGABYTE = 1 << 20
PULSE = 0.02
"""Seconds between two looks at a child."""


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


def resident_megabytes(process: int | None = None) -> float:
    """The memory that a process, this one by default, has now; 0 where the system does not say."""
    try:
        told = Path(f"/proc/{process or 'self'}/statm").read_text(encoding="ascii")
    except OSError:
        return 0.0
    return int(told.split()[1]) * resource.getpagesize() / MEGABYTE
