"""What a person sees of a running workflow, and the lock that keeps two of them apart.

Knows files and processes; does not know what a job computes.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import click

from needlework import files
from needlework.engine.progress import RUN
from needlework.errors import NeedleworkError, NoLocksError

LOCK = Path(".snakemake") / "needlework.lock"


class BusyError(NeedleworkError):
    """Another workflow runs in this folder."""


@dataclass
class Run:
    """One run of the workflow, from its first job to its last."""

    results: Path
    logs: Path
    began: float = field(default_factory=time.time)
    """Seconds since the epoch."""
    _lock: IO[str] | None = None

    def begin(self, jobs: Iterable[str]) -> None:
        """Say what is about to run, when no other run is left in this folder.

        `jobs` has the rule of every job. Another run in this folder ends this one with one line and
        exit code 2.
        """
        try:
            self._lock = _alone()
        except (BusyError, NoLocksError) as error:
            click.echo(f"needlework: {error}", err=True)
            sys.exit(2)
        count = Counter(jobs)
        cells = count["predict"] + count["merge"]
        os.environ[RUN] = f"{self.began} {cells}"
        click.echo(
            f"needlework: {self.results}: {count['dataset']} datasets to make, "
            f"{cells} cells to compute, {count.total()} jobs in all",
            err=True,
        )
        journals = [*self.results.glob("predictions/*/*/*.journal")]
        journals += self.results.glob("shards/*/*/*/*.journal")
        for journal in sorted(journals):
            with journal.open("rb") as file:
                _await_orphan(file, journal)

    def succeed(self) -> None:
        """Say where the answer is."""
        pages = [self.results / name for name in ("report.md", "hazards.md", "explorer.html")]
        found = ", ".join(str(page) for page in pages if page.exists())
        told = f"; open {found}" if found else ""
        tables = self.results / "tables"
        place = f"tables in {tables}" if tables.exists() else f"results in {self.results}"
        click.echo(f"needlework: done; {place}{told}", err=True)
        self.close()

    def fail(self) -> None:
        """Say what the jobs that failed in this run had to say, one line each."""
        logs = (log for log in sorted(self.logs.glob("**/*.log")) if _changed(log) >= self.began)
        told = [f"{log}: {line}" for log in logs for line in _last_words(log)]
        click.echo("\n".join(["needlework: failed", *told]), err=True)
        self.close()

    def close(self) -> None:
        """Let other runs in."""
        if self._lock is not None:
            self._lock.close()


def _alone() -> IO[str]:
    """A lock on this folder that ends with this process, however it ends.

    Snakemake's own lock outlives a killed process; the operating system's does not.
    """
    LOCK.parent.mkdir(exist_ok=True)
    lock = LOCK.open("a")
    try:
        files.lock(lock.fileno(), LOCK, waits=False)
    except BlockingIOError as error:
        lock.close()
        raise BusyError(
            f"another snakemake is working in {Path.cwd()}; wait for it, or stop it"
        ) from error
    return lock


def _await_orphan(file: IO[bytes], journal: Path) -> None:
    """Return when no job of a killed run writes the journal any more."""
    try:
        files.lock(file.fileno(), journal, waits=False, shared=True)
    except BlockingIOError:
        click.echo(f"needlework: waiting for a job that still writes {journal}", err=True)
        files.lock(file.fileno(), journal, waits=True, shared=True)


def _changed(file: Path) -> float:
    """Seconds since the epoch."""
    return file.stat().st_mtime


def _last_words(log: Path) -> list[str]:
    """The last line of a log, if it is that of a mistake or of a traceback."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    failed = any(line.startswith(("needlework: ", "Traceback ")) for line in lines)
    return lines[-1:] if failed else []
