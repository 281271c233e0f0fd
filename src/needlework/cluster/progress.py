"""Progress and failures of a workflow as a person sees them, and the lock against a second run."""

import logging
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import click

from needlework import files
from needlework.cluster import failures
from needlework.cluster.failures import Failures, last_words
from needlework.engine.progress import RUN
from needlework.errors import NeedleworkError, NoLocksError

BEFORE_ESTIMATES = (
    "verify_model",
    "dataset",
    "predict",
    "predict_shard",
    "merge",
    "ask_server",
    "take_served",
    "score",
)
"""What a cell waits for: where such a job fails, the cells of others may be there."""
LOCK = Path(".snakemake") / "needlework.lock"


CELL_RULES = ("predict", "merge", "ask_server", "take_served")
"""The rules that make the predictions of a cell."""


class BusyError(NeedleworkError):
    """Another workflow runs in this folder."""


def watched(results: Path, logs: Path, workflow: Any) -> "Run":  # noqa: ANN401 - Snakemake's
    """A run of this workflow, whose failures are heard from now on."""
    quiet = {each.name for each in workflow.output_settings.quiet or ()}
    heard = Failures(quiet="ALL" in quiet)
    logging.getLogger(failures.SNAKEMAKE).addHandler(heard)
    return Run(results, logs, heard, lambda: _partial(workflow), lambda: _stopped(workflow))


def _stopped(workflow: Any) -> bool:  # noqa: ANN401 - Snakemake's
    """Whether Snakemake was asked to end (SIGTERM), as by a batch system or `timeout`."""
    return getattr(workflow.scheduler, "_user_kill", None) is not None


def _partial(workflow: Any) -> list[str]:  # noqa: ANN401 - Snakemake's
    """The command for tables of what there is, where all of a study was asked for; else nothing."""
    if workflow.dag_settings.targets:
        return []
    asked = workflow.config_settings
    files = ["--configfile", *map(str, asked.configfiles)] if asked.configfiles else []
    given = ["--config", *asked.config_args] if asked.config_args else []
    command = [sys.executable, "-m", "snakemake", "partial", "--cores", "1", "--quiet", "all"]
    return [*command, "--snakefile", str(workflow.main_snakefile), *files, *given]


@dataclass
class Run:
    """One run of the workflow, from its first job to its last."""

    results: Path
    logs: Path
    failures: Failures
    """What Snakemake told of jobs that failed."""
    partial: Callable[[], Sequence[str]] = list
    """The command that makes tables of what there is, after a failure; empty for none."""
    stopped: Callable[[], bool] = bool
    """Whether the run was asked to end before it was done."""
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
        cells = sum(count[rule] for rule in CELL_RULES)
        os.environ[RUN] = f"{self.began} {cells}"
        click.echo(
            f"needlework: {self.results}: {count['dataset']} datasets to make, "
            f"{cells} cells to compute, {count.total()} jobs in all",
            err=True,
        )
        journals = [*self.results.glob("predictions/*/*/*.journal")]
        journals += self.results.glob("served/*/*/*.journal")
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
        """Say what the jobs that failed in this run had to say, one line each; then, where cells of
        other models are there, make the tables that can be made of them.
        """
        logs = (
            log for log in sorted(self.logs.glob("**/*.log")) if log.stat().st_mtime >= self.began
        )
        others = [f"{log}: {line}" for log in logs for line in last_words(log)]
        stopped = self.stopped() or failures.interrupted(self.failures.jobs)
        told = failures.told(self.failures.jobs, stopped=stopped) or others
        unsaid = "no job failed: Snakemake stopped; `needlework status` says what there is"
        ended = "stopped, as it was asked to" if stopped else "failed"
        click.echo("\n".join([f"needlework: {ended}", *(told or [unsaid])]), err=True)
        self.close()
        if not stopped and any(job.rule in BEFORE_ESTIMATES for job in self.failures.jobs):
            self._show_the_others(self.partial())

    def _show_the_others(self, command: Sequence[str]) -> None:
        """Tables of what is there, as `snakemake partial` makes them."""
        if not command or not any(self.results.glob("scores/*/*/*.parquet")):
            return
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        place = self.results / "partial"
        told = f"tables of what there is, and what they lack: {place}"
        if done.returncode:
            told = f"{place} could not be made; `snakemake partial` says why"
        click.echo(f"needlework: {told}", err=True)

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
    except NoLocksError:
        lock.close()
        raise
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
