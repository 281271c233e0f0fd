"""Which results of a study are there, when not all of them are.

Files are looked for, not read.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from needlework.study.grid import Cell


def places(results: Path, cells: Iterable[Cell], *, weights_of: Callable[[str], str]) -> list[str]:
    """The cells that are scored, as model/suite/length; `weights_of` names what was verified.

    A score without its predictions, or of a model that is no longer verified, is left from before:
    the job that should have renewed it failed.
    """
    found = [cell.place for cell in cells if verified(results, [weights_of(cell.model)])]
    return [
        place
        for place in found
        if _scores(results, place).exists()
        and (results / "predictions" / f"{place}.jsonl").exists()
    ]


def changes(results: Path, cells: Sequence[str]) -> list[int]:
    """When the scores of these cells were written, in nanoseconds: new ones make tables anew."""
    return [_scores(results, place).stat().st_mtime_ns for place in cells]


def verified(results: Path, models: Iterable[str]) -> list[str]:
    """The verifications of the models that could be verified."""
    paths = (results / "verified" / f"{model}.json" for model in models)
    return [str(path) for path in paths if path.exists()]


def _scores(results: Path, place: str) -> Path:
    return results / "scores" / f"{place}.parquet"
