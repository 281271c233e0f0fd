"""Measured hours of jobs, from the benchmark files of Snakemake."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from needlework.cost.study import PlannedCell
from needlework.door import opens
from needlework.errors import RecordError
from needlework.study.config import SuiteName
from needlework.study.grid import Cell

LONGEST = 10 * 365 * 86_400
"""Seconds: ten years."""
LARGEST = 1 << 30
"""Megabytes: a thousand terabytes, more than any machine has."""


class Measured(NamedTuple):
    """What the job of one cell took."""

    seconds: float
    """Wall seconds; of CPU time Snakemake sees what it samples, of a job of 29 s the first 15."""
    memory_mb: int
    """Peak resident set, in 10^6 bytes."""


def read_job(folder: Path, cell: PlannedCell) -> Measured | None:
    """The job of one cell, from `folder`/predict/MODEL/SUITE/LENGTH.tsv; None without that file.

    Of a job that continued an interrupted one these are the seconds of the last part.

    Raises:
        RecordError: the file is not a benchmark of Snakemake, or no job took so much; names it.
    """
    path = folder / "predict" / cell.model / cell.suite / f"{cell.length}.tsv"
    if not path.is_file():
        return None
    seconds, memory = _told(path)
    if not (0 <= seconds <= LONGEST and 0 <= memory <= LARGEST):
        raise RecordError(
            f"{path}: no job takes {seconds:g} seconds and {memory:g} MB; delete the file"
        )
    return Measured(seconds, round(memory * (1 << 20) / 1e6))


@opens("a benchmark file of Snakemake", "256.tsv", error=RecordError, way_out="delete it")
def _told(path: Path) -> tuple[float, float]:
    """Seconds and megabytes of the last row."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    values = dict(zip(rows[0], rows[-1], strict=True))
    # Sampled every few seconds, so a short job has a dash.
    return float(values["s"]), _number(values["max_rss"])


def _number(text: str) -> float:
    return 0.0 if text in ("-", "NA") else float(text)


class JobHours(NamedTuple):
    """What a cell takes on one device."""

    hours: float
    kind: str
    """`measured` or `estimated`."""
    device: str
    """A key of `DEVICES`."""


def job_hours(
    planned: Iterable[PlannedCell], suite: SuiteName, *, benchmarks: Path | None = None
) -> dict[Cell, JobHours]:
    """The hours of every planned cell of a suite, by cell.

    They are the `s` of `{benchmarks}/predict/{model}/{suite}/{length}.tsv` where the folder is
    given and that file exists: the wall time of the job, whatever else the machine did, and for a
    job that continued an interrupted one only its last part. Otherwise they are the estimate.

    Raises:
        RecordError: a benchmark file is damaged; names it.
    """
    return {
        Cell(cell.model, cell.suite, cell.length): _hours(cell, benchmarks)
        for cell in planned
        if cell.suite == suite
    }


def _hours(cell: PlannedCell, benchmarks: Path | None) -> JobHours:
    job = None if benchmarks is None else read_job(benchmarks, cell)
    if job is None:
        return JobHours(cell.hours, "estimated", cell.device)
    return JobHours(job.seconds / 3600, "measured", cell.device)
