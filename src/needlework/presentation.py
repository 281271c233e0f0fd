"""What a study shows: its tables, figures and pages, and the cells that each of them needs.

One list, `Shown`, from which rules, review, explorer and `partial` are made. It follows from the
study and its grid alone, before anything is computed.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import product
from typing import Literal, NamedTuple, TypedDict

from pydantic import Field

from needlework.definitions import (
    FigureDefinition,
    Multiples,
    Name,
    Preset,
    Selection,
    TableDefinition,
)
from needlework.errors import StudyError
from needlework.records import Closed
from needlework.study import AskedSuite, AskedTask, Cell, Grid, ShownModel, Study

Page = Literal[
    "report",
    "explorer",
    "findings",
    "claims",
    "published_claims",
    "audit",
    "agreement",
    "hazards",
]
COMPARISON = "comparison_"
"""How files begin that set a table beside the published one: no table's name does."""


class Shown(Closed):
    """Everything that a study shows."""

    tables: tuple[TableDefinition, ...] = ()
    figures: tuple[FigureDefinition, ...] = ()
    comparisons: dict[Name, TableDefinition] = Field({})
    """Tables of the paper that are set beside the published ones, by the name of the files."""
    pages: tuple[Page, ...] = ()
    left_out: tuple[str, ...] = ()
    """What the study would show if it had the cells, a line each."""


class Column(NamedTuple):
    """What one column holds: a mean over tasks, at a length of its own or at that of the row."""

    title: str
    tasks: tuple[Name, ...]
    length: int | None = None
    depth: str = ""
    format: str = ""


class _ByRow(TypedDict):
    suite: Name
    rows: tuple[Literal["model", "length"], ...]


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
            for depth in definition.depths or _depths(chosen)
        ]
    if axis == ("format",):
        return [
            Column(form, _with(chosen, form=form), format=form)
            for form in definition.formats or _formats(chosen)
        ]
    return [
        Column(str(depth), _with(chosen, form=form, depth=depth), depth=str(depth), format=form)
        for form in definition.formats or _formats(chosen)
        for depth in definition.depths or _depths(chosen)
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
    for line, column in product(lines(shown, grid, models), columns(shown, grid)):
        cell = Cell(line.model.name, _suite(shown), at(line, column))
        found.setdefault(cell, set()).update(column.tasks)
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


def present(
    study: Study, grid: Grid, models: Sequence[ShownModel], *, paper: Preset, published: bool
) -> Shown:
    """What a study shows; `paper` has the definitions of the paper, which `published` its models.

    Raises:
        StudyError: a table that was asked for needs cells that the study lacks, or cannot have its
            name.
    """
    faults = [fault for each in _all(paper) if (fault := problem(each, grid, models))]
    if study.hazards:
        return _of_hazards(grid, models, paper)
    if study.tables == "paper" and faults:
        raise StudyError(f"study config: {faults[0]}, or set tables: auto")
    if study.tables in (None, "paper") and not faults:
        shown = [paper, derived(grid, set(grid.suites) - {each.suite for each in _all(paper)})]
    elif isinstance(study.tables, tuple):
        shown = [Preset(tables=study.tables), Preset(figures=derived(grid).figures)]
    else:
        shown = [derived(grid)]
    tables = tuple(table for each in shown for table in each.tables)
    _check_asked(tables, grid, models)
    compared = [each for each in paper.tables if each.value == "score" and published]
    comparisons = {
        COMPARISON + each.name.removeprefix("table_"): each
        for each in compared
        if problem(each, grid, models) is None
    }
    return Shown(
        tables=tables,
        figures=tuple(figure for each in shown for figure in each.figures),
        comparisons=comparisons,
        pages=_pages(is_paper=not faults, is_compared=bool(comparisons)),
        left_out=(f"no tables of the paper: {faults[0]}",) if faults and not study.tables else (),
    )


def _of_hazards(grid: Grid, models: Sequence[ShownModel], paper: Preset) -> Shown:
    """What defects cost is told of the paper's suites, with all that its tables show of them."""
    for each in _all(paper):
        fault = _task_problem(each, grid.suites[each.suite]) if each.suite in grid.suites else None
        if fault:
            raise StudyError(f"study config: {fault}, or remove hazards")
    tables = tuple(each for each in paper.tables if problem(each, grid, models) is None)
    return Shown(tables=tables, pages=("hazards", "explorer"))


def derived(grid: Grid, suites: Collection[Name] | None = None) -> Preset:
    """Tables and figures of these suites, or of all, from their tasks alone.

    A mean over the tasks, one table of each task, and depth by length where needles have a depth;
    the length curve, and the map of depths.

    Raises:
        StudyError: two suites would have a table of the same name.
    """
    chosen = [name for name in grid.suites if suites is None or name in suites]
    tables = [table for name in chosen for table in _derived_tables(name, grid.suites[name])]
    if chosen and suites is None:
        title = "Models and their weights"
        tables.append(TableDefinition(name="models", title=title, value="models", quoted=True))
    figures = [figure for name in chosen for figure in _derived_figures(name, grid.suites[name])]
    return Preset(tables=tuple(tables), figures=tuple(figures))


def title(definition: TableDefinition, grid: Grid) -> str:
    """What stands above a table: its title, or what it shows in words."""
    if definition.title or definition.suite is None:
        return definition.title
    names = [task.name for task in selected(definition, grid.suites[definition.suite])]
    if len(names) == 1:
        return f"{definition.suite}: task {names[0]}"
    by = " and ".join(axis for axis in definition.columns if axis != "length")
    return f"{definition.suite}: " + (f"by {by}" if by else f"mean over {len(names)} tasks")


def _derived_tables(name: Name, suite: AskedSuite) -> Iterator[TableDefinition]:
    stem = _stem(name)
    if len(suite.tasks) > 1:
        yield TableDefinition(name=f"{stem}_mean", suite=name, quoted=True)
    if _depths(suite.tasks):
        by_row: _ByRow = {"suite": name, "rows": ("model", "length")}
        tasks = tuple(task.name for task in suite.tasks if task.depth is not None)
        yield TableDefinition(
            name=f"{stem}_by_depth", columns=("depth",), tasks=tasks, quoted=True, **by_row
        )
        if len(_formats(suite.tasks)) > 1:
            yield TableDefinition(
                name=f"{stem}_by_format", columns=("format",), tasks=tasks, **by_row
            )
    for task in suite.tasks:
        if task.depth is None:
            only = len(suite.tasks) == 1
            yield TableDefinition(
                name=f"{stem}_{_stem(task.name)}", suite=name, tasks=(task.name,), quoted=only
            )


def _derived_figures(name: Name, suite: AskedSuite) -> Iterator[FigureDefinition]:
    stem = _stem(name)
    yield FigureDefinition(name=f"{stem}_length_curve", kind="length_curve", suite=name)
    if _depths(suite.tasks):
        yield FigureDefinition(name=f"{stem}_heatmap", kind="depth_heatmap", suite=name)
    yield FigureDefinition(name=f"{stem}_cost", kind="cost", suite=name)


def _check_asked(
    tables: Sequence[TableDefinition], grid: Grid, models: Sequence[ShownModel]
) -> None:
    """Every table has a name of its own and all of its cells."""
    seen: set[Name] = set()
    for table in tables:
        for target in table.targets:
            if target in seen:
                raise StudyError(
                    f"study config: tables: two are called {target}; change the name of one"
                )
        seen |= set(table.targets)
        if table.name.startswith(COMPARISON):
            raise StudyError(
                f"study config: tables: {table.name}: names that begin with {COMPARISON} are those "
                "of tables beside published ones; choose another"
            )
        fault = problem(table, grid, models)
        if fault:
            raise StudyError(f"study config: {fault}, or remove the table")


def _pages(*, is_paper: bool, is_compared: bool) -> tuple[Page, ...]:
    """The pages of a study: claims where it has the cells of the paper's tables."""
    of_paper: tuple[Page, ...] = ("audit", "claims", "published_claims") if is_paper else ()
    compared: tuple[Page, ...] = ("agreement",) if is_compared else ()
    return (*of_paper, "findings", *compared, "report", "explorer")


def _all(preset: Preset) -> tuple[TableDefinition | FigureDefinition, ...]:
    return (*preset.tables, *preset.figures)


def _suite(definition: TableDefinition) -> Name:
    assert definition.suite is not None, "a table of scores has a suite"
    return definition.suite


def _stem(name: Name) -> str:
    """A name as part of the name of a table, which is a target and so a plain word."""
    word = re.sub(r"[^a-z0-9]+", "_", name)
    return word if word[0].isalpha() else f"suite_{word}"


def _lengths(selection: Selection, suite: AskedSuite) -> list[int]:
    assert not isinstance(selection.lengths, Multiples), "those differ from model to model"
    return [each for each in suite.lengths if not selection.lengths or each in selection.lengths]


def _depths(tasks: Iterable[AskedTask]) -> tuple[int, ...]:
    return tuple(sorted({task.depth for task in tasks if task.depth is not None}))


def _formats(tasks: Iterable[AskedTask]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(task.format for task in tasks if task.format is not None))


def _with(
    tasks: Iterable[AskedTask], *, form: str | None = None, depth: int | None = None
) -> tuple[Name, ...]:
    """The names of the tasks with this format and depth, where they are told."""
    return tuple(
        task.name
        for task in tasks
        if (form is None or task.format == form) and (depth is None or task.depth == depth)
    )


def _has_places(shown: TableDefinition | FigureDefinition) -> bool:
    """Whether needles of a fixed depth are what it shows."""
    if isinstance(shown, FigureDefinition):
        return shown.kind in ("depth_heatmap", "format_bars")
    return bool({"depth", "format"} & set(shown.columns)) and shown.value == "score"
