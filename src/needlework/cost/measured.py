"""What jobs took, as Snakemake's benchmark files say.

Knows these files; does not know what was estimated.
"""

from pathlib import Path
from typing import NamedTuple

from needlework.cost.study import PlannedCell
from needlework.errors import RecordError


class Measured(NamedTuple):
    """What the job of one cell took."""

    seconds: float
    """CPU seconds of a job on the CPU, which other programs hardly change; else wall seconds."""
    wall_seconds: float
    memory_mb: int
    """Peak resident set, in 10^6 bytes."""


def read_job(folder: Path, cell: PlannedCell) -> Measured | None:
    """The job of one cell, from `folder`/predict/MODEL/SUITE/LENGTH.tsv; None without that file.

    Of a job that continued an interrupted one these are the seconds of the last part.

    Raises:
        RecordError: the file is not a benchmark of Snakemake; names it.
    """
    path = folder / "predict" / cell.model / cell.suite / f"{cell.length}.tsv"
    if not path.is_file():
        return None
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    try:
        values = dict(zip(rows[0], rows[-1], strict=True))
        wall = float(values["s"])
        # Snakemake samples every few seconds, so a short job has dashes.
        busy = _number(values["cpu_time"])
        memory = _number(values["max_rss"])
    except (IndexError, KeyError, ValueError) as error:
        raise RecordError(f"{path} is not a benchmark file of Snakemake; delete it") from error
    seconds = busy if cell.device == "cpu" and busy else wall
    return Measured(seconds, wall, round(memory * (1 << 20) / 1e6))


def _number(text: str) -> float:
    return 0.0 if text in ("-", "NA") else float(text)
