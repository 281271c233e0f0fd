"""Margins of references over wrong values beside those of controls: what exact match cannot show.

A sample and its control are compared with the same wrong values, so a difference of both margins is
that of pairs: what hangs on the prompt format, or on what these values are, is in both.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Literal, NamedTuple

import polars as pl
from pydantic import Field, PositiveInt

from needlework.analysis.comparisons import holm
from needlework.analysis.findings import SIGNIFICANCE
from needlework.analysis.likelihoods import FEWEST, FLOOR, Likely, likely
from needlework.analysis.why import clusters_of
from needlework.parsing import Closed
from needlework.statistics.clusters import clustered_mean, clustered_test
from needlework.statistics.contrasts import Interval
from needlework.study.controls import ControlCell, run_of
from needlework.study.definitions import Name
from needlework.study.grid import Grid
from needlework.study.shown import ShownModel
from needlework.tasks.controls import Control

State = Literal["measured", "same prompts", "none", "not computed"]
PAIRED: tuple[Control, ...] = ("truncated", "no-needle")
"""Controls that are asked at every length. Without haystack a sample is compared with the wrong
values that the longest prompt has, so that it is no pair to a shorter one."""
DIGITS = 9
"""Of what is written: the last ones of a sum differ from machine to machine."""


class Nats(Closed):
    """A number of nats with its 95 % interval, which has no ends where nothing is known of it."""

    value: float = Field(allow_inf_nan=False)
    low: float | None = Field(allow_inf_nan=False)
    high: float | None = Field(allow_inf_nan=False)

    @property
    def interval(self) -> Interval:
        """The same with endless ends."""
        low = float("-inf") if self.low is None else self.low
        return Interval(self.value, low, float("inf") if self.high is None else self.high)


class Told(Closed):
    """How likely references are behind the prompts of a model, or of a control of it."""

    samples: PositiveInt
    nats_per_token: Nats
    margin: Nats | None
    """None where the task has no wrong values."""
    first: float | None = Field(ge=0, le=1)
    """How often the reference is likelier than all wrong values."""


class More(Closed):
    """The margin minus that of a control, over the samples that have both."""

    nats: Nats
    pairs: PositiveInt
    p_value: float = Field(ge=0, le=1)
    """Of Student's test over questions."""
    corrected: float = Field(ge=0, le=1)
    """The same, corrected for all of the study (Holm)."""


class Beside(Closed):
    """A control, or what there is in place of it."""

    control: Control
    state: State
    told: Told | None = None
    more: More | None = None


class Margins(Closed):
    """What likelihoods say of a task at a length, beside its controls."""

    task: Name | None
    """None: all tasks of the suite that have wrong values."""
    score: float = Field(ge=0, le=1)
    chance: float | None = Field(ge=0, le=1)
    """How often the reference would be first by chance."""
    own: Told
    controls: tuple[Beside, ...]
    """In the order in which the study asks for them."""

    def beside(self, control: Control) -> Beside | None:
        """What is known of a control; None where the study does not ask for it."""
        return next((each for each in self.controls if each.control == control), None)


Place = tuple[str, str, int]
"""A model, a suite and a length."""


def margins(
    rows: pl.DataFrame, *, grid: Grid, asked: Sequence[Control], cells: Sequence[ControlCell]
) -> dict[Place, tuple[Margins, ...]]:
    """By model, suite and length, margins over all tasks that have wrong values, then each task's.

    `rows` are the scores of the grid and of the control `cells`. Empty where they hold no
    likelihoods.
    """
    if "nats" not in rows.columns:
        return {}
    study = _Study(rows, grid, {(each.cell.model, each.suite, each.length): each for each in cells})
    places = [(each.model, each.suite, each.length) for each in grid.cells()]
    found = {place: list(study.of(place, asked)) for place in places}
    lines = [line for each in found.values() for line in each]
    corrected = iter(holm([more.p_value for line in lines for more in _compared(line)]))
    return {
        place: tuple(_corrected(line, corrected) for line in each)
        for place, each in found.items()
        if each
    }


class Trace(NamedTuple):
    """What needles leave behind where a model answers hardly any right."""

    model: ShownModel
    wrong: int
    """Tasks that are at most 5 % right at some length."""
    left: tuple[tuple[Name, int, Nats], ...]
    """Of those the tasks in which the needle makes the reference likelier for certain; the longest
    such length, and by how many nats."""


def traces(
    found: Mapping[Place, Sequence[Margins]], models: Sequence[ShownModel], suite: Name
) -> list[Trace]:
    """What needles leave behind in a suite; models with no such task are left out."""
    told = []
    for model in models:
        wrong: dict[Name, tuple[int, More]] = {}
        lengths = sorted(each for name, own, each in found if (name, own) == (model.name, suite))
        for length in lengths:
            for line in found[model.name, suite, length]:
                bare = line.beside("no-needle")
                if line.task is None or line.score > FLOOR or bare is None or bare.more is None:
                    continue
                if bare.more.pairs >= FEWEST:
                    wrong[line.task] = (length, bare.more)
        left = [
            (task, length, more.nats)
            for task, (length, more) in wrong.items()
            if more.corrected < SIGNIFICANCE and more.nats.value > 0
        ]
        if wrong:
            told.append(Trace(model, len(wrong), tuple(left)))
    return told


def _compared(line: Margins) -> list[More]:
    return [each.more for each in line.controls if each.more]


def _corrected(line: Margins, p_values: Iterator[float]) -> Margins:
    """The same with the next corrected p-values, one for each of its differences."""
    beside = tuple(
        each.model_copy(
            update={"more": each.more.model_copy(update={"corrected": _short(next(p_values))})}
        )
        if each.more
        else each
        for each in line.controls
    )
    return line.model_copy(update={"controls": beside})


class _Study:
    """The likelihoods of a study and of its controls."""

    def __init__(self, rows: pl.DataFrame, grid: Grid, cells: Mapping[Place, ControlCell]) -> None:
        self.grid, self.cells = grid, cells
        self.suites = {
            suite: [task.name for task in asked.tasks if task.distractors]
            for suite, asked in grid.suites.items()
        }
        compared = pl.any_horizontal(
            False,
            *(
                (pl.col("suite") == suite) & pl.col("task").is_in(tasks)
                for suite, tasks in self.suites.items()
            ),
        )
        whole = likely(rows.filter(compared), grid, by_task=False)
        self.known = {
            (each.model, each.suite, each.length, each.task): each
            for each in (*whole, *likely(rows, grid, by_task=True))
        }
        self.rows = rows.filter(compared, pl.col("margin").is_not_null()).partition_by(
            "model", "suite", "length", as_dict=True
        )

    def of(self, place: Place, asked: Sequence[Control]) -> Iterator[Margins]:
        """What is known of a cell, before p-values are corrected together."""
        for task in (None, *self.grid.suites[place[1]].names()):
            if found := self.known.get((*place, task)):
                yield Margins(
                    task=task,
                    score=round(found.score.mean, DIGITS),
                    chance=None if found.chance is None else round(found.chance, DIGITS),
                    own=_told(found),
                    controls=tuple(self.beside(place, task, control) for control in asked),
                )

    def beside(self, place: Place, task: Name | None, control: Control) -> Beside:
        """What is known of a control of a cell."""
        model, suite, length = place
        longest = max(self.grid.suites[suite].lengths)
        run = (run_of(model, control), suite, longest if control == "no-haystack" else length)
        cell, own = self.cells.get(run), self.known[*place, task]
        if cell is None and control == "truncated":
            return Beside(control=control, state="same prompts", told=_told(own))
        if cell is None or (task is not None and task not in cell.tasks):
            return Beside(control=control, state="none")
        if (found := self.known.get((*run, task))) is None:
            return Beside(control=control, state="not computed")
        more = self.more(place, run, task) if control in PAIRED else None
        return Beside(control=control, state="measured", told=_told(found), more=more)

    def more(self, place: Place, run: Place, task: Name | None) -> More | None:
        """The difference of pairs; None where no sample has both margins."""
        if place not in self.rows or run not in self.rows:
            return None
        both = self.rows[place].join(self.rows[run], on=["suite", "task", "index"], suffix="_run")
        pairs = both.filter(pl.col("task") == task) if task else both
        if not pairs.height:
            return None
        pairs = pairs.sort("task", "index")
        gaps = (pairs["margin"] - pairs["margin_run"]).to_list()
        clusters = clusters_of(pairs, self.grid)
        p_value = _short(clustered_test(gaps, clusters))
        return More(
            nats=_nats(clustered_mean(gaps, clusters)),
            pairs=len(gaps),
            p_value=p_value,
            corrected=p_value,
        )


def _told(found: Likely) -> Told:
    return Told(
        samples=found.samples,
        nats_per_token=_nats(found.nats_per_token),
        margin=None if found.margin is None else _nats(found.margin),
        first=None if found.first is None else round(found.first.mean, DIGITS),
    )


def _nats(found: Interval) -> Nats:
    value, low, high = (round(each, DIGITS) if isfinite(each) else None for each in found)
    assert value is not None, "a mean of finite numbers"
    return Nats(value=value, low=low, high=high)


def _short(p_value: float) -> float:
    return float(f"{p_value:.6g}")
