"""Which estimate stands where in a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Literal, NamedTuple

from needlework.scores.estimates import NotComputedError, Scores
from needlework.statistics.means import Estimate, macro_mean
from needlework.study import presentation, selection
from needlework.study.config import SuiteName
from needlework.study.definitions import Multiples, Name, TableDefinition
from needlework.study.grid import Cell
from needlework.study.selection import Column, Line
from needlework.study.shown import ShownModel

AVERAGE = "average"
"""What stands for the task, length, depth or format of an average over them."""


class Source(NamedTuple):
    """The samples of one task of a suite at one length."""

    suite: SuiteName
    task: Name
    length: int


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One number of a table, with what it is about and how it is set off."""

    task: str
    length: str
    depth: str = ""
    format: str = ""
    estimate: Estimate | None
    """None where a cell behind it was not computed: never a mean over fewer."""
    sources: tuple[Source, ...]
    """The samples it rests on."""
    missing: tuple[Cell, ...] = ()
    """The cells that it lacks."""
    best: bool = False
    """The highest of its column, or not significantly different from it."""
    p_value: float | None = None
    """How often chance alone makes a difference to the best as large; corrected for the column."""
    test: Literal["paired", "apart"] | None = None
    """Whether it was compared with the best on the same samples; None where it was not compared."""
    trained: bool = False
    """Measured at the model's training length."""
    mixed: bool = False
    """Whether a cell behind it holds answers of several versions of packages."""
    short: bool = False
    """Whether prompts behind it are shorter than the length they stand for."""

    @property
    def shown(self) -> float | None:
        """The number as printed, in percent; what prints alike is alike."""
        return None if self.estimate is None else round(100 * self.estimate.mean, 2)

    @property
    def is_average(self) -> bool:
        """Whether it sums up other entries of its row."""
        return AVERAGE in (self.task, self.length, self.depth, self.format)


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

    name: str
    """What its files are called."""
    label: str
    """What text calls it: the number of a numbered table, else its name."""
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


def build(definition: TableDefinition, scores: Scores, models: Sequence[ShownModel]) -> Table:
    """A table of scores, its training lengths marked.

    Raises:
        RecordError: a cell that the table shows is none of the study.
    """
    assert definition.suite is not None, "a table of scores has a suite"
    scores.suite(definition.suite)
    columns = selection.columns(definition, scores.grid)
    lines = list(selection.lines(definition, scores.grid, models))
    has_length = "length" in definition.rows
    is_grouped = has_length and len(lines) > len({line.model.name for line in lines})
    spans = {column.format: 0 for column in columns} if len(definition.columns) > 1 else {}
    for column in columns if spans else ():
        spans[column.format] += 1
    return Table(
        name=definition.name,
        label=definition.label,
        title=presentation.title(definition, scores.grid),
        heads=("Model", "Length") if has_length else ("Model",),
        spans=tuple(spans.items()),
        columns=(*(column.title for column in columns), *(["Avg."] if definition.average else [])),
        rows=tuple(
            _row(definition, line, columns, scores, is_grouped=is_grouped) for line in lines
        ),
    )


def _row(
    definition: TableDefinition,
    line: Line,
    columns: Sequence[Column],
    scores: Scores,
    *,
    is_grouped: bool,
) -> Row:
    """One row; where models have several, rows of one length compete with each other."""
    entries = [_entry(definition, line, column, scores) for column in columns]
    average = [_average(definition, entries, scores)] if definition.average else []
    length = [] if line.length is None else [str(line.length)]
    return Row(
        model=line.model,
        heads=(line.model.label, *length),
        rivals=length[0] if is_grouped else "",
        entries=(*entries, *average),
    )


def _entry(definition: TableDefinition, line: Line, column: Column, scores: Scores) -> Entry:
    """One number, or the place where it would stand."""
    suite, length = str(definition.suite), selection.at(line, column)
    found, missing = None, ()  # type: tuple[Estimate | None, tuple[Cell, ...]]
    try:
        found = scores.mean(line.model, suite, column.tasks, length)
    except NotComputedError as error:
        missing = (error.cell,)
    by_place = bool(column.depth or column.format)
    # Where every row stands at the training length of its model, nothing sets that apart.
    marked = column.length is not None or len(_factors(definition)) != 1
    return Entry(
        task=suite if by_place or len(column.tasks) > 1 else column.tasks[0],
        length=str(length),
        depth=column.depth,
        format=column.format,
        estimate=found,
        sources=tuple(Source(suite, task, length) for task in column.tasks),
        missing=missing,
        trained=marked and length == line.model.trained_length,
    )


def _factors(definition: TableDefinition) -> tuple[float, ...]:
    """The multiples of the training length at which a table stands, if it does."""
    lengths = definition.lengths
    return lengths.trained if isinstance(lengths, Multiples) else ()


def _average(definition: TableDefinition, entries: Sequence[Entry], scores: Scores) -> Entry:
    """The mean of a row; none if one of its numbers is missing."""
    parts = [entry.estimate for entry in entries if entry.estimate is not None]
    sources = tuple(dict.fromkeys(source for entry in entries for source in entry.sources))
    axis = definition.columns[-1]
    suite = scores.suite(str(definition.suite))
    tasks = {source.task for source in sources}
    apart = axis == "task" and suite.independent(tasks)
    summed = {axis: AVERAGE}
    first = entries[0]
    return Entry(
        task=summed.get("task", first.task),
        length=summed.get("length", first.length),
        depth=summed.get("depth", ""),
        format=summed.get("format", ""),
        estimate=macro_mean(parts, independent=apart) if len(parts) == len(entries) else None,
        sources=sources,
        missing=tuple(dict.fromkeys(cell for entry in entries for cell in entry.missing)),
    )
