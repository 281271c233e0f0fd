"""The hours of cells for a picture: measured where a job has run, else estimated."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from needlework.cost.measured import read_job
from needlework.cost.study import PlannedCell
from needlework.study.config import SuiteName
from needlework.study.grid import Cell


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
