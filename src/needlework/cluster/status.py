"""Where every cell of a study stands, from its files alone - also while a cluster works on it.

Results, journals and logs are read; nothing is started and no scheduler is asked.
"""

import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from needlework import files
from needlework.cluster.failures import last_words
from needlework.study.grid import Cell
from needlework.study.plan import Plan

State = Literal["done", "running", "failed", "waiting"]
RECENT = 600.0
"""Seconds since the last line of a log for which a job on another machine is taken to run: it says
how far it is four times a minute, but may read a long prompt in between."""
SAMPLES = re.compile(r"samples=(\d+)/(\d+)")


@dataclass(frozen=True)
class CellStatus:
    """One cell: what is known of it."""

    cell: Cell
    state: State
    why: str = ""
    """How far it is, or why it failed and which log says so."""


@dataclass(frozen=True)
class Study:
    """A study and where its files are."""

    plan: Plan
    results: Path
    logs: Path
    now: float

    def cells(self) -> list[CellStatus]:
        """Every cell, in the order of the tables."""
        return [self._cell(cell) for cell in self.plan.cells()]

    def _cell(self, cell: Cell) -> CellStatus:
        place = Path(cell.model, cell.suite, str(cell.length))
        if (self.results / "predictions" / f"{place}.jsonl").exists():
            return self._answered(cell, place)
        own = self._logs(place)
        if self._is_running(place, own):
            return CellStatus(cell, "running", _how_far(own))
        for log in [*own, *self._before(cell)]:
            words = last_words(log)
            if words:
                return CellStatus(cell, "failed", f"{words[-1].strip()} ({log})")
        return CellStatus(cell, "waiting", _how_far(own))

    def _answered(self, cell: Cell, place: Path) -> CellStatus:
        """A cell whose answers are there; the job that scores them may have failed."""
        if (self.results / "scores" / f"{place}.parquet").exists():
            return CellStatus(cell, "done")
        log = self.logs / "score" / f"{place}.log"
        words = last_words(log)
        if words:
            return CellStatus(cell, "failed", f"{words[-1].strip()} ({log})")
        return CellStatus(cell, "done", "answered, not scored yet")

    def _logs(self, place: Path) -> list[Path]:
        """The logs of the jobs that answer a cell, the newest first."""
        found = [self.logs / "predict" / f"{place}.log", self.logs / "merge" / f"{place}.log"]
        for rule in ("predict_shard", "predict_part"):
            found += (self.logs / rule / place).glob("*.log")
        return sorted(filter(Path.exists, found), key=lambda log: -log.stat().st_mtime)

    def _before(self, cell: Cell) -> Iterator[Path]:
        """The logs of the jobs that a cell waits for and whose results are not there."""
        weights = self.plan.weights_of(cell.model)
        if not (self.results / "verified" / f"{weights}.json").exists():
            yield self.logs / "verify" / f"{weights}.log"
        prompts = self.plan.prompts(cell.model)
        for task in self.plan.tasks_of(cell):
            place = Path(prompts, str(cell.length), task)
            if not (self.results / "data" / f"{place}.jsonl").exists():
                yield self.logs / "dataset" / f"{place}.log"

    def _is_running(self, place: Path, logs: list[Path]) -> bool:
        """Whether a job holds the journal here, or wrote a log lately and no last words yet."""
        journals = [self.results / "predictions" / f"{place}.jsonl.journal"]
        journals += (self.results / "shards" / place).glob("*.journal")
        if any(_is_held(journal) for journal in journals if journal.exists()):
            return True
        return any(self.now - log.stat().st_mtime < RECENT and not last_words(log) for log in logs)


def read(plan: Plan, folder: Path) -> list[CellStatus]:
    """Where every cell of a study in a working directory stands."""
    name = plan.study.study
    return Study(plan, folder / "results" / name, folder / "logs" / name, time.time()).cells()


def lines(found: list[CellStatus]) -> Iterator[str]:
    """What to print: how many cells stand where, then those that run and those that failed.

    Cells of a model that failed for one reason share a line.
    """
    counts = Counter(each.state for each in found)
    states: tuple[State, ...] = ("done", "running", "failed", "waiting")
    yield f"{len(found)} cells: " + ", ".join(f"{counts[each]} {each}" for each in states)
    for each in found:
        if each.state == "running":
            yield f"running {each.cell.place}{each.why and f': {each.why}'}"
    reasons: dict[tuple[str, str], list[Cell]] = {}
    for each in found:
        if each.state == "failed":
            reasons.setdefault((each.cell.model, each.why), []).append(each.cell)
    for (_, why), cells in reasons.items():
        more = f" and {len(cells) - 1} more of its cells" if len(cells) > 1 else ""
        yield f"failed {cells[0].place}{more}: {why}"


def _how_far(logs: list[Path]) -> str:
    """How many samples the newest log tells of."""
    for log in logs:
        told = SAMPLES.findall(log.read_text(encoding="utf-8", errors="replace"))
        if told:
            done, total = told[-1]
            return f"{done} of {total} samples"
    return ""


def _is_held(journal: Path) -> bool:
    """Whether a process of this machine writes the journal."""
    with journal.open("rb") as file:
        try:
            files.lock(file.fileno(), journal, waits=False, shared=True)
        except BlockingIOError:
            return True
        return False
