"""Which jobs of a run failed, and how: what Snakemake tells its log, in lines of ours.

An error is never quiet: where Snakemake is to say nothing (`--quiet all`), what ends a run is said
here.
"""

import logging
import re
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import click

SNAKEMAKE = "snakemake.logging"
ENDED = re.compile(r"(?:died with <Signals\.(\w+): \d+>|returned non-zero exit status (\d+))\.?$")
SLURM = re.compile(r"SLURM-job '?(\w+)'? failed, SLURM status is: '?(\w+)'?")
OURS = ("needlework: ", "Traceback ")
"""How a line begins after which a log holds last words."""
CTRL_C = "killed by SIGINT"
ASKED_TO_STOP = (CTRL_C, "killed by SIGTERM")
"""How jobs end that are stopped together with their run."""
BY_SIGNAL = 128
"""A shell adds this to the number of the signal that ended a command."""


@dataclass(frozen=True)
class Failed:
    """A job that failed."""

    rule: str
    what: str
    """Its first output."""
    log: Path | None
    how: str
    """What is known of its end: a signal, an exit status, what Slurm says."""

    def words(self) -> list[str]:
        """What it said last, if that tells why it failed."""
        return last_words(self.log) if self.log else []

    def line(self) -> str:
        """What it said last; else how it ended, which is then written to its log as well."""
        if words := self.words():
            return f"{self.log}: {words[-1]}"
        told = f"{self.how}, without a word of its own"
        if self.log is not None:
            _append(self.log, f"needlework: {told}")
        return f"{self.log or self.rule}: {self.what}: {told}"


class Failures(logging.Handler):
    """Hears what Snakemake says of failed jobs."""

    def __init__(self, *, quiet: bool) -> None:
        super().__init__(logging.ERROR)
        self.quiet = quiet
        """Whether Snakemake says nothing itself."""
        self.jobs: list[Failed] = []
        self._ends: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what is said of a job; say what is said of the run, where nobody else does."""
        text = record.getMessage()
        if hasattr(record, "rule_name"):
            self.jobs.append(self._failed(record))
        elif text.startswith("RuleException") or "SLURM-job" in text:
            self._ends.append(text)
        elif self.quiet and not self.jobs:
            click.echo(f"needlework: {' '.join(text.split())[:600]}", err=True)

    def _failed(self, record: logging.LogRecord) -> Failed:
        told = vars(record)
        logs, outputs = told.get("log") or [], told.get("output") or []
        command = str(told.get("shellcmd") or "")
        told_of = [end for end in self._ends if command and command.strip() in end]
        said = [*told_of, str(told.get("rule_msg") or ""), str(told.get("msg") or "")]
        return Failed(
            rule=str(told["rule_name"]),
            what=str(outputs[0]) if outputs else f"rule {told['rule_name']}",
            log=Path(str(logs[0])) if logs else None,
            how=next(filter(None, map(_how, said)), "ended with an error"),
        )


def _how(text: str) -> str:
    """How a job ended, by what Snakemake or Slurm says; empty where that is not told."""
    if found := SLURM.search(text):
        return f"ended by Slurm as {found[2]} (job {found[1]})"
    found = ENDED.search(" ".join(text.split()))
    if found is None:
        return ""
    status = int(found[2] or 0)
    name = found[1] or _signal(status - BY_SIGNAL)
    if not name:
        return f"ended with exit status {status}"
    hint = ", as by the kernel when memory runs out" if name == "SIGKILL" else ""
    return f"killed by {name}{hint}"


def _signal(number: int) -> str:
    return signal.Signals(number).name if number in set(signal.Signals) else ""


def last_words(log: Path) -> list[str]:
    """The last line of a log, if it is that of a mistake or of a traceback."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    failed = any(line.startswith(OURS) for line in lines)
    return [line for line in lines if line.strip()][-1:] if failed else []


def interrupted(jobs: Iterable[Failed]) -> bool:
    """Whether some job was ended by Ctrl-C, which its run hears as well."""
    return any(job.how == CTRL_C for job in jobs)


def told(jobs: Iterable[Failed], *, stopped: bool = False) -> list[str]:
    """A line for every job that failed, each once; where the run was `stopped`, its jobs were
    stopped with it, which is no fault of theirs.
    """
    at_fault = (job for job in jobs if job.words() or not (stopped and job.how in ASKED_TO_STOP))
    return list(dict.fromkeys(job.line() for job in at_fault))


def _append(log: Path, line: str) -> None:
    """Leave a job's end in its log, where it is looked for later; where that is possible."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")
    except OSError:
        return
