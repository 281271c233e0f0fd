"""The short report of a study: what was asked, the answer in two pictures, and where the rest is.

No score is computed here.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from needlework.analysis.control_margins import traces
from needlework.analysis.controls import Controlled
from needlework.analysis.effective_length import OWN_SHARE
from needlework.analysis.likelihoods import CEILING, FLOOR, hidden
from needlework.analysis.training_runs import shared_reasons
from needlework.analysis.why import Reason, reasons
from needlework.errors import RecordError
from needlework.files import write_text
from needlework.report import controls as of_controls
from needlework.report.charts import spoken
from needlework.report.control_margins import by_place
from needlework.report.how_far import how_far, of_tasks, percent
from needlework.report.margins import limits
from needlework.report.rendering import render
from needlework.report.writing import Written
from needlework.scores.cells import estimated, read_parquet
from needlework.scores.diagnoses import read_diagnoses
from needlework.scores.estimates import Scores
from needlework.statistics.contrasts import Interval, interval
from needlework.statistics.means import Estimate
from needlework.study.config import Study
from needlework.study.definitions import FigureDefinition, FigureKind
from needlework.study.grid import Grid
from needlework.study.presentation import Shown
from needlework.study.shown import ShownModel

LARGE: tuple[FigureKind, ...] = (
    "length_curve",
    "depth_heatmap",
    "position_curve",
    "distance_curve",
    "failure_bars",
    "margin_curve",
    "margin_distance",
)
"""Figures that the report shows; it links to the others."""
WORDS: Mapping[FigureKind, str] = {
    "length_curve": "{suite} score by context length",
    "depth_heatmap": "Score by needle depth and context length",
    "position_curve": "Score by needle depth, a line per context length",
    "distance_curve": "{suite} score by the distance of the needle from the question",
    "failure_bars": "What the answers to {suite} are, by context length",
    "margin_curve": "{suite}: margin of the reference over wrong values, by context length",
    "margin_distance": "{suite}: the same margin by the distance of the needle from the question",
    "retention_curve": "kept beyond the training length",
    "format_points": "by needle format",
    "cost": "score against the time of an answer",
}


NAMED: Mapping[Reason, str] = {
    "window": "forgets what lies beyond a window",
    "distance": "forgets with distance",
    "interference": "gives wrong values, at any distance, when the context grows",
    "length": "stops giving values when the context grows, at any distance",
}
"""The reasons in words."""


class Cost(NamedTuple):
    """What the predictions of a study took."""

    samples: int
    failed: int
    prompt_tokens: int
    shared: float
    """Share of the prompt tokens whose computation another sample of the cell paid for."""
    generated_tokens: int


def write_report(
    study: Study,
    shown: Shown,
    folder: Path,
    *,
    scores: Path,
    diagnosis: Path,
    grid: Grid,
    models: Sequence[ShownModel],
    template: Path,
    controls: Sequence[Controlled] = (),
) -> None:
    """Write `folder/report.md` from scores, their diagnosis and the tables in `folder/tables`.

    Raises:
        RecordError: a file is damaged, or a table that it quotes is missing.
    """
    rows = read_diagnoses(diagnosis, grid)
    failing = {suite: reasons(rows, grid, models, suite) for suite in grid.suites}
    beside = by_place(controls)
    answers = read_parquet(scores)
    means = Scores(estimated(answers), grid)
    reach = {suite: list(how_far(means, models, suite)) for suite in of_tasks(grid)}
    large = [figure for figure in shown.figures if figure.kind in LARGE]
    text = render(
        template,
        study=study,
        shown=shown,
        cost=_cost(answers),
        reach={suite: found for suite, found in reach.items() if found},
        shortest={suite: min(grid.suites[suite].lengths) for suite in reach},
        share=100 * OWN_SHARE,
        ceiling=100 * CEILING,
        floor=100 * FLOOR,
        spoken=spoken,
        hidden={
            spoken(suite): found
            for suite in grid.suites
            if "nats" in rows.columns and (found := hidden(rows, grid, models, suite))
        },
        traces={spoken(suite): traces(beside, models, suite) for suite in grid.suites},
        nats=limits,
        failing={spoken(suite): found for suite, found in failing.items() if found},
        named=NAMED,
        shared={spoken(suite): shared_reasons(found) for suite, found in failing.items()},
        limits=_limits,
        points=_points,
        controlled=of_controls.told(controls, models),
        of_control=of_controls.limits,
        in_points=of_controls.points,
        quoted=[
            Written(_text(folder / f"tables/{each.name}.md"))
            for each in shown.tables
            if each.quoted
        ],
        large=[(figure.name, _words(figure)) for figure in large],
        small=[(figure.name, _words(figure)) for figure in shown.figures if figure not in large],
    )
    write_text(folder / "report.md", text)


def _limits(found: Estimate) -> str:
    """A score in percent with its interval, and how many samples are behind it."""
    return f"{percent(interval(found))} (n = {found.count})"


def _points(found: Interval) -> str:
    """A difference in points with its interval."""
    value, low, high = (f"{100 * each:+.0f}" for each in found)
    return f"{value} points [{low}, {high}]"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror}; run snakemake to make it") from error


def _words(figure: FigureDefinition) -> str:
    """What a figure shows, in words."""
    return WORDS[figure.kind].format(suite=spoken(figure.suite))


def _cost(scores: pl.DataFrame) -> Cost:
    total = scores.select("prompt_tokens", "shared_tokens", "generated_tokens").sum().row(0)
    prompt, shared, generated = total
    return Cost(
        samples=scores.height,
        failed=scores["error"].count(),
        prompt_tokens=prompt,
        shared=shared / prompt,
        generated_tokens=generated,
    )
