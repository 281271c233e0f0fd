"""How far a cell is: one line that people can follow and programs can read."""

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger(__name__)

RUN = "NEEDLEWORK_RUN"
"""The environment variable with the start of the run of a job, and how many cells it computes."""
LOG_SECONDS = 15.0
"""Without a terminal, this long between lines."""


@dataclass
class Progress:
    """What is done of a cell; `line` says it in one line."""

    name: str
    samples: int
    """Samples of the cell."""
    done: int
    """Of those, finished, the ones from the journal included."""
    tokens: int
    """Tokens to read for the samples that are not finished."""
    shared: float
    """Share of the cell's prompt tokens that another sample pays for."""
    started: float = field(default_factory=time.monotonic)
    read: int = 0
    written: int = 0
    quiet: bool = True
    """Whether no log is read: then no line is printed in between."""
    said: float = field(default_factory=time.monotonic)

    def finish(self, samples: int, *, read: int, written: int) -> None:
        """So many samples of one question are finished, for which `read` tokens were read."""
        self.done += samples
        self.read += read
        self.written += written
        if not self.quiet and time.monotonic() - self.said >= LOG_SECONDS:
            log.info(self.line)
            self.said = time.monotonic()

    @property
    def line(self) -> str:
        """Samples, speed in tokens per second, share of tokens saved, seconds left."""
        seconds = max(time.monotonic() - self.started, 1e-9)
        missing = self.tokens - self.read
        left = seconds * missing / self.read if self.read else None if missing else 0.0
        return (
            f"{self.name} samples={self.done}/{self.samples} "
            f"tokens_per_s={(self.read + self.written) / seconds:.0f} shared={self.shared:.2f} "
            f"eta_s={'unknown' if left is None else round(left)}"
        )


@contextmanager
def shown(progress: Progress) -> Iterator[None]:
    """Keep the line up to date on a terminal while the block runs; elsewhere log it at times."""
    if not sys.stderr.isatty():
        progress.quiet = False
        yield
        log.info(progress.line)
        return
    # Imported here: the workflow reads this module too, and draws nothing.
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    with Live(console=console, get_renderable=lambda: progress.line, refresh_per_second=4):
        yield


def cells_done(predictions: Path) -> str:
    """How many cells this run has computed, as `12 of 48 cells`; empty outside a workflow.

    `predictions` is the file of any cell, whose place tells where the others are.
    """
    if RUN not in os.environ:
        return ""
    began, total = os.environ[RUN].split()
    files = predictions.parents[2].glob("*/*/*.jsonl")
    return f"{sum(file.stat().st_mtime >= float(began) for file in files)} of {total} cells"
