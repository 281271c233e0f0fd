"""Which estimate stands where in Tables 1 to 4 and 6 to 18 of the paper.

Knows rows, columns and averages; does not know which number is best or how one is printed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import Literal

from needlework.paper import DEPTHS, FORMAT_DEPTHS, FORMATS, TASK_TABLES, TASKS
from needlework.report.estimates import NotComputedError, Scores
from needlework.statistics import Estimate, macro_mean
from needlework.study import Cell, LengthTable, ShownModel, SuiteName

__all__ = ["AVERAGE", "Entry", "Row", "Scores", "Table", "build"]

AVERAGE = "average"
"""What stands for the length or depth of an average over them."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One number of a table, with what it is about and how it is set off."""

    task: str
    length: str
    depth: str = ""
    format: str = ""
    estimate: Estimate | None
    """None where a cell behind it was not computed: never a mean over fewer."""
    sources: tuple[tuple[str, int], ...]
    """The tasks and lengths whose samples it rests on."""
    missing: tuple[Cell, ...] = ()
    """The cells that it lacks."""
    best: bool = False
    """The highest of its column, or not told apart from it."""
    p_value: float | None = None
    """How often chance alone makes a difference to the best as large; corrected for the column."""
    test: Literal["paired", "apart"] | None = None
    """Whether it was compared with the best on the same samples; None where it was not compared."""
    trained: bool = False
    """Measured at the model's training length."""

    @property
    def shown(self) -> float | None:
        """The number as printed, in percent; what prints alike is alike."""
        return None if self.estimate is None else round(100 * self.estimate.mean, 2)

    @property
    def is_average(self) -> bool:
        """Whether it sums up other entries of its row."""
        return AVERAGE in (self.length, self.depth)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table: a model, at one length where the table has several."""

    model: ShownModel
    heads: tuple[str, ...]
    rivals: str = ""
    """Rows of a table compete for the best number with those of equal `rivals`."""
    entries: tuple[Entry, ...]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table before it is printed."""

    number: int | str
    """Its number in the paper, or its name in the study."""
    title: str
    heads: tuple[str, ...]
    spans: tuple[tuple[str, int], ...] = ()
    """A line above the columns: titles and how many columns each covers."""
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def label(self) -> str:
        """What other text refers to it by."""
        return f"{self.number:02}" if isinstance(self.number, int) else self.number

    @property
    def marks_training(self) -> bool:
        """Whether any number stands out as that of a training length."""
        return any(entry.trained for row in self.rows for entry in row.entries)

    def column_names(self) -> list[str]:
        """The columns with what spans them, for formats without a second header line."""
        spans = [f"{title} " for title, width in self.spans for _ in range(width)]
        return [
            f"{span}{column}"
            for span, column in zip(spans or repeat(""), self.columns, strict=False)
        ]


def build(number: int, scores: Scores, models: Sequence[ShownModel]) -> Table:
    """A table of estimates (any but Table 5), its training lengths marked.

    Raises:
        RecordError: a cell that the table shows is none of the study.
    """
    if number == 1:
        title = "RULER: mean over the 13 tasks"
        return _length_table(1, title, TASKS, scores, models, suite="ruler")
    if number in (2, 3):
        return _depth_table(number, scores, models)
    if number == 4:
        return _format_table(scores, models)
    task = TASK_TABLES[number]
    title = f"RULER task {task}"
    return _length_table(number, title, (task,), scores, models, suite="ruler")


def build_own(name: str, spec: LengthTable, scores: Scores, models: Sequence[ShownModel]) -> Table:
    """A table that a study describes itself.

    Raises:
        RecordError: a cell that the table shows is none of the study.
    """
    tasks = spec.tasks or tuple(scores.tasks(spec.suite))
    mean = f"mean over {len(tasks)} tasks" if len(tasks) > 1 else f"task {tasks[0]}"
    title = spec.title or f"{spec.suite}: {mean}"
    return _length_table(name, title, tasks, scores, models, suite=spec.suite)


def _entry(
    estimate: Callable[[], Estimate],
    *,
    about: tuple[str, str, str, str],
    sources: Iterable[tuple[str, int]],
    trained: bool = False,
) -> Entry:
    """One number, or the place where it would stand."""
    found, missing = None, ()  # type: tuple[Estimate | None, tuple[Cell, ...]]
    try:
        found = estimate()
    except NotComputedError as error:
        missing = (error.cell,)
    task, length, depth, form = about
    return Entry(
        task=task,
        length=length,
        depth=depth,
        format=form,
        estimate=found,
        sources=tuple(sources),
        missing=missing,
        trained=trained,
    )


def _average(entries: Sequence[Entry], *, length: str, depth: str = "") -> Entry:
    """The mean of a row; none if one of its numbers is missing."""
    parts = [entry.estimate for entry in entries if entry.estimate is not None]
    whole = len(parts) == len(entries)
    missing = (cell for entry in entries for cell in entry.missing)
    return Entry(
        task=entries[0].task,
        length=length,
        depth=depth,
        estimate=macro_mean(parts, independent=False) if whole else None,
        sources=tuple(source for entry in entries for source in entry.sources),
        missing=tuple(dict.fromkeys(missing)),
    )


def _length_table(
    number: int | str,
    title: str,
    tasks: Sequence[str],
    scores: Scores,
    models: Sequence[ShownModel],
    *,
    suite: SuiteName,
) -> Table:
    lengths = scores.lengths(suite)
    name = tasks[0] if len(tasks) == 1 else suite

    def row(model: ShownModel) -> Row:
        entries = [
            _entry(
                partial(scores.task, model, name, length)
                if len(tasks) == 1
                else partial(scores.mean, model, tasks, length),
                about=(name, str(length), "", ""),
                sources=[(task, length) for task in tasks],
                trained=length == model.trained_length,
            )
            for length in lengths
        ]
        return Row(
            model=model,
            heads=(model.label,),
            entries=(*entries, _average(entries, length=AVERAGE)),
        )

    return Table(
        number=number,
        title=title,
        heads=("Model",),
        columns=(*map(str, lengths), "Avg."),
        rows=tuple(map(row, models)),
    )


def _depth_table(number: int, scores: Scores, models: Sequence[ShownModel]) -> Table:
    times, place = {2: (1, "the training length"), 3: (2, "twice the training length")}[number]

    def row(model: ShownModel) -> Row:
        length = times * model.trained_length
        entries = [
            _entry(
                partial(scores.over_formats, model, depth=depth, length=length),
                about=("depth", str(length), str(depth), ""),
                sources=[(scores.depth_task(form, depth), length) for form in FORMATS],
            )
            for depth in DEPTHS
        ]
        last = _average(entries, length=str(length), depth=AVERAGE)
        return Row(model=model, heads=(model.label, str(length)), entries=(*entries, last))

    return Table(
        number=number,
        title=f"One needle at {place}, by depth in percent: mean over three formats",
        heads=("Model", "Length"),
        columns=(*map(str, DEPTHS), "Avg."),
        rows=tuple(map(row, models)),
    )


def _format_table(scores: Scores, models: Sequence[ShownModel]) -> Table:
    measured = scores.lengths("depth")

    def row(model: ShownModel, length: int) -> Row:
        entries = tuple(
            _entry(
                partial(scores.depth, model, form, depth=depth, length=length),
                about=("depth", str(length), str(depth), form),
                sources=[(scores.depth_task(form, depth), length)],
                trained=length == model.trained_length,
            )
            for form in FORMATS
            for depth in FORMAT_DEPTHS
        )
        heads = (model.label, str(length))
        return Row(model=model, heads=heads, rivals=str(length), entries=entries)

    def lengths(model: ShownModel) -> Iterator[int]:
        trained = model.trained_length
        yield from (n for n in (trained // 2, trained, 2 * trained) if n in measured)

    return Table(
        number=4,
        title="One needle around the training length, by format and depth in percent",
        heads=("Model", "Length"),
        spans=tuple((form, len(FORMAT_DEPTHS)) for form in FORMATS),
        columns=tuple(str(depth) for _ in FORMATS for depth in FORMAT_DEPTHS),
        rows=tuple(row(model, length) for model in models for length in lengths(model)),
    )
