"""Which cells a table or figure shows: its rows and columns, and what a study lacks of them.

Follows from a definition and the grid of a study alone, before anything is computed.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

from needlework.study.definitions import (
    FigureDefinition,
    Multiples,
    Name,
    Selection,
    TableDefinition,
)
from needlework.study.grid import AskedSuite, AskedTask, Cell, Grid
from needlework.study.shown import ShownModel


class Column(NamedTuple):
    """What one column holds: a mean over tasks, at a length of its own or at that of the row."""

    title: str
    tasks: tuple[Name, ...]
    length: int | None = None
    depth: str = ""
    format: str = ""


class Line(NamedTuple):
    """One row of a table: a model, at one length where the columns hold none."""

    model: ShownModel
    length: int | None


def columns(definition: TableDefinition, grid: Grid) -> list[Column]:
    """The columns of a table of scores, the average aside."""
    suite = grid.suites[_suite(definition)]
    chosen = selected(definition, suite)
    names = tuple(task.name for task in chosen)
    axis = definition.columns
    if axis == ("length",):
        return [Column(str(length), names, length) for length in _lengths(definition, suite)]
    if axis == ("task",):
        return [Column(task.name, (task.name,)) for task in chosen]
    if axis == ("depth",):
        return [
            Column(str(depth), _with(chosen, depth=depth), depth=str(depth))
            for depth in definition.depths or depths(chosen)
        ]
    if axis == ("format",):
        return [
            Column(form, _with(chosen, form=form), format=form)
            for form in definition.formats or formats(chosen)
        ]
    return [
        Column(str(depth), _with(chosen, form=form, depth=depth), depth=str(depth), format=form)
        for form in definition.formats or formats(chosen)
        for depth in definition.depths or depths(chosen)
    ]


def lines(definition: TableDefinition, grid: Grid, models: Sequence[ShownModel]) -> Iterator[Line]:
    """The rows of a table of scores."""
    suite = grid.suites[_suite(definition)]
    for model in models:
        if "length" in definition.rows:
            for length in row_lengths(definition, suite, model):
                yield Line(model, length)
        else:
            yield Line(model, None)


def row_lengths(selection: Selection, suite: AskedSuite, model: ShownModel) -> list[int]:
    """The lengths at which a selection shows a model: those asked for that its suite has."""
    if not isinstance(selection.lengths, Multiples):
        return _lengths(selection, suite)
    wanted = (times * model.trained_length for times in selection.lengths.trained)
    return [int(length) for length in wanted if length in suite.lengths]


def selected(selection: Selection, suite: AskedSuite) -> list[AskedTask]:
    """The tasks of a suite that a selection shows, in the order of the suite."""
    return [
        task
        for task in suite.tasks
        if (not selection.tasks or task.name in selection.tasks)
        and (not selection.formats or task.format in selection.formats)
        and (not selection.depths or task.depth in selection.depths)
    ]


def needs(
    shown: TableDefinition | FigureDefinition, grid: Grid, models: Sequence[ShownModel]
) -> dict[Cell, set[Name]]:
    """The cells behind a table or figure, each with the tasks of it that are shown."""
    found: dict[Cell, set[Name]] = {}
    if isinstance(shown, FigureDefinition):
        suite = grid.suites[shown.suite]
        tasks = {task.name for task in selected(shown, suite)}
        for model in models:
            for length in row_lengths(shown, suite, model):
                found[Cell(model.name, shown.suite, length)] = tasks
        return found
    if shown.value == "models":
        return found
    if shown.value != "score":
        return {cell: set(grid.suites[cell.suite].names()) for cell in grid.cells()}
    for line, column in product(lines(shown, grid, models), columns(shown, grid)):
        cell = Cell(line.model.name, _suite(shown), at(line, column))
        found.setdefault(cell, set()).update(column.tasks)
    return found


def needed(
    shown: Iterable[TableDefinition | FigureDefinition], grid: Grid, models: Sequence[ShownModel]
) -> dict[Cell, set[Name]]:
    """The cells behind some tables and figures, each with the tasks of it that they show."""
    found: dict[Cell, set[Name]] = {}
    for each in shown:
        for cell, tasks in needs(each, grid, models).items():
            found.setdefault(cell, set()).update(tasks)
    return found


def at(line: Line, column: Column) -> int:
    """The length of a number."""
    length = column.length or line.length
    assert length is not None, "a length stands in rows or in columns"
    return length


def problem(
    shown: TableDefinition | FigureDefinition, grid: Grid, models: Sequence[ShownModel]
) -> str | None:
    """What a study lacks of a table or figure, and what to add; None where it has it all."""
    if shown.suite is None:
        return None
    if shown.suite not in grid.suites:
        return f"suites.{shown.suite} is missing, which {shown.name} shows; add it"
    suite = grid.suites[shown.suite]
    return _task_problem(shown, suite) or _length_problem(shown, suite, models, grid)


def _task_problem(shown: TableDefinition | FigureDefinition, suite: AskedSuite) -> str | None:
    """What is lacking of the tasks that a table or figure shows."""
    key = f"suites.{shown.suite}"
    for task in shown.tasks:
        if task not in suite.names():
            return f"{key}.tasks: {task} is missing, which {shown.name} shows; add it"
    for form, depth in product(shown.formats or (None,), shown.depths or (None,)):
        if not _with(suite.tasks, form=form, depth=depth):
            needle = " at ".join(
                [*([str(form)] if form else []), *([f"depth {depth}"] if depth is not None else [])]
            )
            return f"{key}.tasks: no needle of {needle}, which {shown.name} shows; add its task"
    if _has_places(shown) and not any(task.depth is not None for task in selected(shown, suite)):
        return f"{key}.tasks: no needle of a fixed depth, which {shown.name} shows; add one"
    return None


def _length_problem(
    shown: TableDefinition | FigureDefinition,
    suite: AskedSuite,
    models: Sequence[ShownModel],
    grid: Grid,
) -> str | None:
    """What is lacking of the lengths that a table or figure shows."""
    key = f"suites.{shown.suite}.lengths"
    if not isinstance(shown.lengths, Multiples):
        for length in shown.lengths:
            if length not in suite.lengths:
                return f"{key}: {length} is missing, which {shown.name} shows; add it"
    for model in models:
        if (model.name, shown.suite) in grid.without:
            return f"{model.name} has no cells of suite {shown.suite}, which {shown.name} shows"
        if not row_lengths(shown, suite, model) and isinstance(shown.lengths, Multiples):
            wanted = " or ".join(
                f"{each * model.trained_length:g}" for each in shown.lengths.trained
            )
            return (
                f"{key}: {wanted} is missing, at which {shown.name} shows {model.name} "
                f"(trained_length {model.trained_length}); add it"
            )
    return None


def _suite(definition: TableDefinition) -> Name:
    assert definition.suite is not None, "a table of scores has a suite"
    return definition.suite


def _lengths(selection: Selection, suite: AskedSuite) -> list[int]:
    assert not isinstance(selection.lengths, Multiples), "those differ from model to model"
    return [each for each in suite.lengths if not selection.lengths or each in selection.lengths]


def depths(tasks: Iterable[AskedTask]) -> tuple[int, ...]:
    """The depths of their needles, ascending, in percent."""
    return tuple(sorted({task.depth for task in tasks if task.depth is not None}))


def formats(tasks: Iterable[AskedTask]) -> tuple[str, ...]:
    """The formats of their needles, in order."""
    return tuple(dict.fromkeys(task.format for task in tasks if task.format is not None))


def _with(
    tasks: Iterable[AskedTask], *, form: str | None = None, depth: int | None = None
) -> tuple[Name, ...]:
    """The names of the tasks with this format and depth, where they are given."""
    return tuple(
        task.name
        for task in tasks
        if (form is None or task.format == form) and (depth is None or task.depth == depth)
    )


def _has_places(shown: TableDefinition | FigureDefinition) -> bool:
    """Whether needles of a fixed depth are what it shows."""
    if isinstance(shown, FigureDefinition):
        return shown.kind in ("depth_heatmap", "format_points", "position_curve")
    return bool({"depth", "format"} & set(shown.columns)) and shown.value == "score"
