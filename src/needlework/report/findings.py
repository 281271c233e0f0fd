"""The page of statistics beyond means, and every compared pair and bootstrapped cell as CSV.

The statistics are computed in `analysis.findings`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from needlework.analysis.controls import Controlled
from needlework.analysis.effective_length import OWN_SHARE, RULER_THRESHOLD, EffectiveLength
from needlework.analysis.findings import (
    SIGNIFICANCE,
    TIMES,
    CellInterval,
    Pair,
    middles,
    pairs,
    partial_credit,
    reaches,
    visible_drops,
    visible_gaps,
)
from needlework.analysis.length_costs import length_costs
from needlework.analysis.training_runs import TrainingRuns, training_runs
from needlework.files import write_csv, write_text
from needlework.report.charts import spoken
from needlework.report.how_far import of_tasks
from needlework.report.rendering import p_value, render
from needlework.scores.cells import read_estimates, read_parquet
from needlework.scores.estimates import Scores
from needlework.scores.paired import Paired
from needlework.statistics.contrasts import Interval
from needlework.study.config import Study
from needlework.study.grid import AskedSuite, Grid
from needlework.study.shown import ShownModel


def write_findings(
    study: Study,
    output: Path,
    *,
    scores: Path,
    cells: Path,
    grid: Grid,
    models: Sequence[ShownModel],
    templates: Path,
    controls: Sequence[Controlled] = (),
) -> None:
    """Write `output`.md, `output`.pairs.csv and `output`.bootstrap.csv.

    Raises:
        RecordError: scores or cells are damaged, or of another study.
    """
    rows = read_parquet(scores)
    compared, tasks = pairs(rows, models, grid), _tasks_of_a_mean(grid)
    paired = Paired(rows, Scores(read_estimates(cells), grid), seed=study.seed)
    parts = [_cell(each) for each in partial_credit(rows, seed=study.seed)]
    page = render(
        templates / "findings.md.j2",
        study=study,
        **_by_suite(paired, models),
        trainings=_trainings(paired, models),
        spoken=spoken,
        pairs=compared,
        beyond=[(each, each.beyond.verdict) for each in controls if each.beyond],
        matrices=list(_matrices(compared, models)),
        costs=length_costs(compared),
        has_bar=study.material != "nano",
        labels={model.name: model.label for model in models},
        drops=visible_drops(study.samples),
        overall=visible_drops(study.samples * tasks),
        tasks=tasks,
        gaps=visible_gaps(study.samples),
        times=TIMES,
        threshold=100 * RULER_THRESHOLD,
        share=100 * OWN_SHARE,
        significance=100 * SIGNIFICANCE,
        tokens=_tokens,
        shown=_shown,
        partly=parts,
        name=output.name,
    )
    write_text(output.with_suffix(".md"), page)
    write_csv(output.with_suffix(".pairs.csv"), map(_pair, compared))
    write_csv(output.with_suffix(".bootstrap.csv"), parts)


class Matrix(NamedTuple):
    """Who is better in a suite: a row and a column per model, and in a cell a sign per length."""

    suite: str
    lengths: tuple[int, ...]
    models: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]


SIGNS = {True: "+", False: "-", None: "="}
"""Of a length: the row is better, worse, or not different for certain."""


def _matrices(found: Sequence[Pair], models: Sequence[ShownModel]) -> Iterator[Matrix]:
    """A matrix per suite, of the models that were compared in it."""
    for suite in dict.fromkeys(pair.suite for pair in found):
        of_suite = [pair for pair in found if pair.suite == suite]
        named = {name for pair in of_suite for name in (pair.first, pair.second)}
        shown = [model for model in models if model.name in named]
        signs = {}
        for pair in of_suite:
            ahead = pair.comparison.difference.value > 0 if pair.is_significant else None
            signs[pair.first, pair.second, pair.length] = SIGNS[ahead]
            behind = None if ahead is None else not ahead
            signs[pair.second, pair.first, pair.length] = SIGNS[behind]
        lengths = tuple(sorted({pair.length for pair in of_suite}))
        yield Matrix(
            suite=suite,
            lengths=lengths,
            models=tuple(model.label for model in shown),
            cells=tuple(
                tuple(
                    " ".join(signs.get((one.name, other.name, each), "") for each in lengths)
                    for other in shown
                )
                for one in shown
            ),
        )


def _tasks_of_a_mean(grid: Grid) -> int:
    """How many tasks the mean has that says how far a model reads."""
    return len(grid.suites[(of_tasks(grid) or list(grid.suites))[0]].tasks)


def _by_suite(paired: Paired, models: Sequence[ShownModel]) -> dict[str, dict[str, Any]]:
    """How far models read, and what they lose in the middle, in every suite that measures it."""
    grid = paired.scores.grid
    found = {suite: middles(paired, models, suite) for suite in _of_depths(grid)}
    return {
        "reaches": {suite: reaches(paired.scores, models, suite) for suite in of_tasks(grid)},
        # A study that ends below the training lengths has nothing to tell of the middle there.
        "middles": {
            suite: rows for suite, rows in found.items() if any(any(r.lost.values()) for r in rows)
        },
        "formats": {suite: _formats(grid.suites[suite]) for suite in _of_depths(grid)},
    }


def _trainings(paired: Paired, models: Sequence[ShownModel]) -> dict[str, TrainingRuns]:
    """By suite, what recipes score that were trained several times."""
    found = {suite: training_runs(paired, models, suite) for suite in paired.scores.grid.suites}
    return {suite: each for suite, each in found.items() if each}


def _of_depths(grid: Grid) -> list[str]:
    """The suites with needles at fixed depths."""
    suites = grid.suites.items()
    return [name for name, suite in suites if any(task.depth is not None for task in suite.tasks)]


def _formats(suite: AskedSuite) -> str:
    """How many needle formats a suite has, in words."""
    count = len({task.format for task in suite.tasks if task.format})
    words = {1: "one needle format", 2: "the two needle formats", 3: "the three needle formats"}
    return words.get(count, f"the {count} needle formats")


def _tokens(found: EffectiveLength | None) -> str:
    """An effective length with its interval, in tokens."""
    if found is None:
        return "not measured"
    length, low, high = ("none" if value is None else str(value) for value in found)
    return length if low == length == high else f"{length} [{low}, {high}]"


def _shown(found: Interval | None, *, scale: float = 1.0, digits: int = 2) -> str:
    """A statistic with its interval."""
    if found is None:
        return "not measured"
    value, low, high = (f"{scale * number:.{digits}f}" for number in found)
    return f"{value} [{low}, {high}]"


def _pair(pair: Pair) -> dict[str, Any]:
    found = pair.comparison
    return {
        "first": pair.first,
        "second": pair.second,
        "suite": pair.suite,
        "length": pair.length,
        **{name: round(value, 6) for name, value in found.difference._asdict().items()},
        "pairs": found.pairs,
        "discordant": found.discordant,
        "p_value": p_value(found.p_value),
        "corrected": p_value(pair.corrected),
    }


def _cell(cell: CellInterval) -> dict[str, Any]:
    wilson = cell.wilson
    return {
        "model": cell.model,
        "task": cell.task,
        "length": cell.length,
        "mean": round(wilson.mean, 6),
        "wilson_low": round(wilson.low, 6),
        "wilson_high": round(wilson.high, 6),
        "bootstrap_low": round(cell.bootstrap.low, 6),
        "bootstrap_high": round(cell.bootstrap.high, 6),
        "count": wilson.count,
        "failed": wilson.failed,
    }
