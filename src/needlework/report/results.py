"""The numbers of a study for programs: `results.json`, every estimate with what it rests on.

How far a model reads is computed in `needlework.analysis.effective_length`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from needlework.analysis.effective_length import (
    OWN_SHARE,
    RULER_THRESHOLD,
    EffectiveLength,
    above_own_share,
    above_threshold,
)
from needlework.door import opens
from needlework.errors import RecordError
from needlework.files import AGAIN, write_text
from needlework.parsing import Closed, parse, read
from needlework.records import LIBRARIES, Prediction
from needlework.scores.cells import MACHINE, read_estimates
from needlework.scores.estimates import Scores
from needlework.scores.remarks import mixed
from needlework.statistics.means import Estimate
from needlework.study.config import Study
from needlework.study.grid import Cell, Grid
from needlework.study.shown import ShownModel

NODE = MACHINE - {LIBRARIES}
"""What predictions say of the node that they were computed on."""


class Reach(Closed):
    """The longest context length in tokens up to which a mean stays above a bar."""

    bar: float
    length: int | None
    """None: even the shortest falls short."""
    low: int | None
    """What the lower 95 % limits vouch for."""
    high: int | None

    @classmethod
    def of(cls, found: EffectiveLength, bar: float) -> "Reach":
        """The record of an effective length."""
        return cls(bar=bar, **found._asdict())


class TaskResult(Closed):
    """One task at one length."""

    task: str
    length: int
    depth: int | None
    """Of its needle, in percent, where that is fixed."""
    format: str | None
    estimate: Estimate


class MeanResult(Closed):
    """The mean over the tasks of a suite at one length."""

    length: int
    estimate: Estimate


class SuiteResult(Closed):
    """What one model scores in a suite."""

    model: str
    suite: str
    means: tuple[MeanResult, ...]
    above_own_share: Reach
    """The bar is a share of the model's own score at the shortest length."""
    above_ruler_threshold: Reach
    """The bar is RULER's: a score."""
    tasks: tuple[TaskResult, ...]


class MadeBy(Closed):
    """What the predictions of some cells say of what computed them."""

    others: dict[str, str]
    cells: tuple[str, ...]
    """As model/suite/length."""


class Results(Closed):
    """The content of `results.json`. Scores are between 0 and 1, intervals at 95 %."""

    format: Literal["needlework-results-1"] = "needlework-results-1"
    needlework: str
    """The version that wrote it."""
    study: Study
    models: tuple[ShownModel, ...]
    suites: tuple[SuiteResult, ...]
    made_by: tuple[MadeBy, ...]
    several_versions: dict[str, tuple[str, ...]]
    """Cells whose answers were computed by several versions of packages, with these."""

    def of(self, model: str) -> Iterator[SuiteResult]:
        """What one model scores in every suite."""
        return (each for each in self.suites if each.model == model)


def write_results(
    study: Study,
    output: Path,
    *,
    scores: Path,
    cells: Path,
    predictions: Path,
    grid: Grid,
    models: Sequence[ShownModel],
    version: str,
) -> None:
    """Write the results of a study whose predictions lie in a folder; `version` is of needlework.

    Raises:
        RecordError: scores, estimates or predictions are damaged, missing or of another study.
    """
    found = Scores(read_estimates(cells), grid)
    results = Results(
        needlework=version,
        study=study,
        models=tuple(models),
        suites=tuple(
            _suite(found, model, suite)
            for model in models
            for suite in grid.suites
            if (model.name, suite) not in grid.without
        ),
        made_by=tuple(_made_by(predictions, grid.cells())),
        several_versions={
            _place(cell): tuple(versions) for cell, versions in mixed([scores]).items()
        },
    )
    write_text(output, results.model_dump_json(indent=1) + "\n")


def read_results(path: Path) -> Results:
    """The results in a file.

    Raises:
        StudyError: it is absent or holds none.
    """
    return parse(Results, read(path), where=str(path))


def _suite(scores: Scores, model: ShownModel, suite: str) -> SuiteResult:
    asked = scores.suite(suite)
    means = {each: scores.mean(model, suite, asked.names(), each) for each in asked.lengths}
    return SuiteResult(
        model=model.name,
        suite=suite,
        means=tuple(MeanResult(length=each, estimate=mean) for each, mean in means.items()),
        above_own_share=Reach.of(above_own_share(means), OWN_SHARE),
        above_ruler_threshold=Reach.of(above_threshold(means), RULER_THRESHOLD),
        tasks=tuple(
            TaskResult(
                task=task.name,
                length=length,
                depth=task.depth,
                format=task.format,
                estimate=scores.estimate(model, suite, task.name, length),
            )
            for task in asked.tasks
            for length in asked.lengths
        ),
    )


def _made_by(predictions: Path, cells: Iterable[Cell]) -> Iterator[MadeBy]:
    """What the first prediction of every cell says, cells that say the same together.

    Shards of a cell may run on several nodes, of which only predictions tell.
    """
    groups: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for cell in cells:
        others = _first(predictions / f"{_place(cell)}.jsonl")
        told = {key: each for key, each in others.items() if key not in NODE}
        groups.setdefault(tuple(sorted(told.items())), []).append(_place(cell))
    for same, places in groups.items():
        yield MadeBy(others=dict(same), cells=tuple(places))


@opens("predictions", "records.jsonl", error=RecordError, way_out=AGAIN)
def _first(path: Path) -> Mapping[str, str]:
    """What the first prediction of a file says of what made it."""
    try:
        with path.open("rb") as lines:
            return Prediction.model_validate_json(lines.readline()).others
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror}; ask for it with snakemake") from error


def _place(cell: Cell) -> str:
    return f"{cell.model}/{cell.suite}/{cell.length}"
