"""Scores beside those of their controls, and whether a model reads beyond a truncated copy of it.

Both sides answer the same questions, so differences keep their pairs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import polars as pl
from pydantic import Field, PositiveInt

from needlework.analysis.comparisons import holm, sign_flip_test
from needlework.analysis.control_margins import Margins, State, margins
from needlework.analysis.findings import SIGNIFICANCE, groups_of, paired_means
from needlework.parsing import Closed, Line
from needlework.scores.cells import estimated
from needlework.scores.estimates import NotComputedError, Scores
from needlework.scores.paired import Paired
from needlework.statistics.contrasts import Interval, difference, widened
from needlework.study.controls import ControlCell, run_of
from needlework.study.definitions import Name
from needlework.study.grid import Grid
from needlework.study.shown import ShownModel
from needlework.tasks.controls import Control

ALL = "all tasks"
"""What the mean over a suite is called."""
SLIGHT = 0.05
"""A difference that cannot reach this counts as none."""
DIGITS = 9
"""Of what is written: the last ones of a sum differ from machine to machine."""
Verdict = Literal["yes", "no", "cannot be told"]


class Measured(Closed):
    """A share, or a difference of two, with its 95 % interval."""

    value: float = Field(ge=-1, le=1)
    low: float = Field(ge=-1, le=1)
    high: float = Field(ge=-1, le=1)


class Beside(Closed):
    """A control, or what there is in place of its score."""

    control: Control
    state: State
    """None: some of the tasks have no such control, and there is no mean over the others."""
    score: Measured | None = None


class Beyond(Closed):
    """The score minus that of the truncated copy, and what it says."""

    points: Measured
    p_value: float = Field(ge=0, le=1)
    """Of the exact paired permutation test."""
    corrected: float = Field(ge=0, le=1)
    """The same, corrected for all of the study (Holm)."""
    verdict: Verdict


class Controlled(Closed):
    """What a model scores on some tasks of a suite at a length, beside its controls."""

    model: Name
    suite: Name
    length: PositiveInt
    group: Line
    tasks: PositiveInt
    score: Measured
    controls: tuple[Beside, ...]
    """In the order in which the study asks for them."""
    beyond: Beyond | None = None
    """Where the truncated copy read something else, and was computed."""
    margins: tuple[Margins, ...] = Field((), exclude_if=lambda value: not value)
    """Of the mean over all tasks, in a study of likelihoods: over all tasks that have wrong values,
    then of each task."""

    def beside(self, control: Control) -> Beside | None:
        """What is known of a control; None where the study does not ask for it."""
        return next((each for each in self.controls if each.control == control), None)


@dataclass(frozen=True)
class _Study:
    """The scores of a study and of its controls, resampled together."""

    grid: Grid
    cells: Mapping[tuple[str, Control, str, int], ControlCell]
    rows: pl.DataFrame
    paired: Paired


def controlled(
    rows: pl.DataFrame,
    *,
    grid: Grid,
    models: Sequence[ShownModel],
    asked: Sequence[Control],
    cells: Sequence[ControlCell],
    seed: int,
) -> list[Controlled]:
    """Every model on every suite at every length that is computed: the mean over all tasks, then
    that of each group of them, beside what the controls `asked` for score.

    `rows` are the scores of the grid and of the control `cells`. Intervals are those of a bootstrap
    of questions.

    Where the rows hold likelihoods, lines over all tasks have margins.

    Raises:
        RecordError: the scores are of another study.
    """
    runs = dict.fromkeys(each.cell.model for each in cells)
    both = grid.model_copy(update={"models": (*grid.models, *runs)})
    by_place = {(each.model, each.control, each.suite, each.length): each for each in cells}
    paired = Paired(rows, Scores(estimated(rows), both), seed=seed)
    study = _Study(grid, by_place, rows, paired)
    found = [
        _Line(study, model, suite, length, group, tuple(tasks))
        for model in models
        for suite, about in grid.suites.items()
        for length in paired.scores.computed(model, suite)
        for group, tasks in groups(about.names()).items()
    ]
    likelihoods = margins(rows, grid=grid, asked=asked, cells=cells)
    return [
        each.model_copy(
            update={"margins": likelihoods.get((each.model, each.suite, each.length), ())}
        )
        if each.group == ALL
        else each
        for each in _judged(found, asked)
    ]


def groups(tasks: Sequence[Name]) -> dict[str, list[Name]]:
    """The tasks of a suite, and those of each group that has some and not all of them."""
    return {ALL: list(tasks), **groups_of(tasks)}


@dataclass(frozen=True)
class _Line:
    """A line before its differences are judged together."""

    study: _Study
    model: ShownModel
    suite: Name
    length: int
    group: str
    tasks: tuple[Name, ...]

    def cell(self, control: Control) -> ControlCell | None:
        """The cell of a control; of prompts without haystack, which have no length, the only one.

        None where there is none: the prompts are those of the score, or no task has it.
        """
        longest = max(self.study.grid.suites[self.suite].lengths)
        length = longest if control == "no-haystack" else self.length
        return self.study.cells.get((self.model.name, control, self.suite, length))

    def mean(self, run: str, length: int) -> Interval:
        """The mean of a run of the model over the tasks of the line."""
        model = self.model.model_copy(update={"name": run})
        return self.study.paired.mean(model, self.suite, self.tasks, length)

    @cached_property
    def score(self) -> Interval:
        """What the model itself scores."""
        return self.mean(self.model.name, self.length)

    def beside(self, control: Control) -> Beside:
        """What a control scores."""
        cell = self.cell(control)
        if cell is None and control == "truncated":
            return Beside(control=control, state="same prompts", score=_measured(self.score))
        if cell is None or not set(self.tasks) <= set(cell.tasks):
            return Beside(control=control, state="none")
        try:
            found = self.mean(cell.cell.model, cell.length)
        except NotComputedError:
            return Beside(control=control, state="not computed")
        return Beside(control=control, state="measured", score=_measured(found))

    def beyond(self) -> tuple[Interval, float]:
        """The score minus that of the truncated copy, with the p-value of its pairs."""
        run = run_of(self.model.name, "truncated")
        points = difference(self.score, self.mean(run, self.length))
        own = self.study.rows.filter(
            pl.col("suite") == self.suite,
            pl.col("length") == self.length,
            pl.col("task").is_in(self.tasks),
        )
        whole, truncated = (own.filter(pl.col("model") == each) for each in (self.model.name, run))
        return points, sign_flip_test(*paired_means(whole, truncated, self.study.grid))


def _judged(lines: Sequence[_Line], asked: Sequence[Control]) -> list[Controlled]:
    """The lines with their differences from truncated copies, corrected for their number."""
    beside = [tuple(line.beside(control) for control in asked) for line in lines]
    tested = {
        place: lines[place].beyond()
        for place, found in enumerate(beside)
        if any(each.control == "truncated" and each.state == "measured" for each in found)
    }
    corrected = holm([p_value for _, p_value in tested.values()])
    judged = {
        place: Beyond(
            points=_measured(points),
            p_value=_significant(p_value),
            corrected=_significant(adjusted),
            verdict=_verdict(points, adjusted, tests=len(tested)),
        )
        for (place, (points, p_value)), adjusted in zip(tested.items(), corrected, strict=True)
    }
    return [
        Controlled(
            model=line.model.name,
            suite=line.suite,
            length=line.length,
            group=line.group,
            tasks=len(line.tasks),
            score=_measured(line.score),
            controls=beside[place],
            beyond=judged.get(place),
        )
        for place, line in enumerate(lines)
    ]


def _verdict(points: Interval, corrected: float, *, tests: int) -> Verdict:
    """Yes: more than the truncated copy for certain. No: less for certain, or at most slightly more
    by an interval that holds for all tests together.
    """
    if corrected < SIGNIFICANCE:
        return "yes" if points.value > 0 else "no"
    return "no" if widened(points, choices=tests).high < SLIGHT else "cannot be told"


def _measured(found: Interval) -> Measured:
    value, low, high = (round(each, DIGITS) for each in found)
    return Measured(value=value, low=low, high=high)


def _significant(p_value: float) -> float:
    return float(f"{p_value:.6g}")


def whole(found: Sequence[Controlled]) -> Iterator[Controlled]:
    """The lines about all tasks of a suite."""
    return (each for each in found if each.group == ALL)
