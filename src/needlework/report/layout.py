"""Which estimate stands where in Tables 1 to 4 and 6 to 18 of the paper.

Knows rows, columns and averages; does not know how a number is printed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat

from needlework.cells import CellEstimate
from needlework.errors import RecordError
from needlework.paper import DEPTHS, FORMAT_DEPTHS, FORMATS, TASK_TABLES, TASKS
from needlework.statistics import Estimate, macro_mean
from needlework.study import ShownModel

AVERAGE = "average"
"""What stands for the length or depth of an average over them."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One number of a table, with what it is about and how it is set off."""

    task: str
    length: str
    depth: str = ""
    format: str = ""
    estimate: Estimate
    best: bool = False
    """The highest of its column."""
    trained: bool = False
    """Measured at the model's training length."""

    @property
    def shown(self) -> float:
        """The number as printed, in percent; what prints alike is alike."""
        return round(100 * self.estimate.mean, 2)

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

    number: int
    title: str
    heads: tuple[str, ...]
    spans: tuple[tuple[str, int], ...] = ()
    """A line above the columns: titles and how many columns each covers."""
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

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


class Scores:
    """The estimates of a study, by model, task and length."""

    def __init__(self, cells: Iterable[CellEstimate]) -> None:
        self._cells = list(cells)
        self._by_key = {(cell.model, cell.task, cell.length): cell.estimate for cell in self._cells}
        self._depth_tasks = {
            (cell.format, cell.depth): cell.task for cell in self._cells if cell.suite == "depth"
        }

    def lengths(self, suite: str) -> list[int]:
        """The lengths at which a suite was run, ascending."""
        return sorted({cell.length for cell in self._cells if cell.suite == suite})

    def task(self, model: ShownModel, task: str, length: int) -> Estimate:
        """The estimate of one cell.

        Raises:
            RecordError: the study has no such cell.
        """
        found = self._by_key.get((model.name, task, length))
        if found is None:
            raise RecordError(
                f"no scores of {model.name} on {task} at length {length}; the cells file is not "
                "of this study, delete it and ask for the table again"
            )
        return found

    def depth(self, model: ShownModel, form: str, *, depth: int, length: int) -> Estimate:
        """The estimate of one needle format at one depth.

        Raises:
            RecordError: the study has no such cell.
        """
        task = self._depth_tasks.get((form, depth), f"{form} at depth {depth}")
        return self.task(model, task, length)

    def ruler(self, model: ShownModel, length: int) -> Estimate:
        """The mean over the 13 RULER tasks."""
        return macro_mean([self.task(model, task, length) for task in TASKS], independent=True)

    def over_formats(self, model: ShownModel, *, depth: int, length: int) -> Estimate:
        """The mean over the needle formats, which hide the same needles."""
        parts = [self.depth(model, form, depth=depth, length=length) for form in FORMATS]
        return macro_mean(parts, independent=False)


def build(number: int, scores: Scores, models: Sequence[ShownModel]) -> Table:
    """A table of estimates (any but Table 5), its best numbers and training lengths marked.

    Raises:
        RecordError: a cell that the table shows is missing.
    """
    if number == 1:
        table = _length_table(1, "RULER: mean over the 13 tasks", "ruler", scores, models)
    elif number in (2, 3):
        table = _depth_table(number, scores, models)
    elif number == 4:
        table = _format_table(scores, models)
    else:
        task = TASK_TABLES[number]
        table = _length_table(number, f"RULER task {task}", task, scores, models)
    return replace(table, rows=tuple(_mark_best(table.rows)))


def _length_table(
    number: int, title: str, task: str, scores: Scores, models: Sequence[ShownModel]
) -> Table:
    lengths = scores.lengths("ruler")

    def row(model: ShownModel) -> Row:
        entries = [
            Entry(
                task=task,
                length=str(length),
                estimate=scores.ruler(model, length)
                if task == "ruler"
                else scores.task(model, task, length),
                trained=length == model.trained_length,
            )
            for length in lengths
        ]
        average = macro_mean([entry.estimate for entry in entries], independent=False)
        return Row(
            model=model,
            heads=(model.label,),
            entries=(*entries, Entry(task=task, length=AVERAGE, estimate=average)),
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
            Entry(
                task="depth",
                length=str(length),
                depth=str(depth),
                estimate=scores.over_formats(model, depth=depth, length=length),
            )
            for depth in DEPTHS
        ]
        average = macro_mean([entry.estimate for entry in entries], independent=False)
        last = replace(entries[-1], depth=AVERAGE, estimate=average)
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

    def rows(model: ShownModel) -> Iterator[Row]:
        trained = model.trained_length
        for length in (trained // 2, trained, 2 * trained):
            if length in measured:
                entries = tuple(
                    Entry(
                        task="depth",
                        length=str(length),
                        depth=str(depth),
                        format=form,
                        estimate=scores.depth(model, form, depth=depth, length=length),
                        trained=length == trained,
                    )
                    for form in FORMATS
                    for depth in FORMAT_DEPTHS
                )
                heads = (model.label, str(length))
                yield Row(model=model, heads=heads, rivals=str(length), entries=entries)

    return Table(
        number=4,
        title="One needle around the training length, by format and depth in percent",
        heads=("Model", "Length"),
        spans=tuple((form, len(FORMAT_DEPTHS)) for form in FORMATS),
        columns=tuple(str(depth) for _ in FORMATS for depth in FORMAT_DEPTHS),
        rows=tuple(row for model in models for row in rows(model)),
    )


def _mark_best(rows: Sequence[Row]) -> Iterator[Row]:
    """The rows with the highest number of each column marked, among rivals; zero is no merit."""
    top: Mapping[tuple[str, int], float] = {
        (row.rivals, column): max(
            rival.entries[column].shown for rival in rows if rival.rivals == row.rivals
        )
        for row in rows
        for column in range(len(row.entries))
    }
    for row in rows:
        entries = (
            replace(entry, best=0 < entry.shown == top[row.rivals, column])
            for column, entry in enumerate(row.entries)
        )
        yield replace(row, entries=tuple(entries))
