"""What a study shows: its tables, figures and pages.

One list, `Shown`, from which rules, review, explorer and `partial` are made. It follows from the
study and its grid alone, before anything is computed.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Literal, TypedDict

from pydantic import Field

from needlework.errors import StudyError
from needlework.parsing import Closed, unknown
from needlework.study.config import Study
from needlework.study.definitions import (
    LONGEST,
    FigureDefinition,
    FigureKind,
    Name,
    Preset,
    TableDefinition,
    TableValue,
)
from needlework.study.grid import AskedSuite, Grid
from needlework.study.selection import depths, formats, problem, selected
from needlework.study.shown import ShownModel

Page = Literal[
    "report",
    "results",
    "explorer",
    "findings",
    "claims",
    "published_claims",
    "audit",
    "agreement",
    "hazards",
    "controls",
]
COMPARISON = "comparison_"
"""How files begin that set a table beside the published one: no table's name does."""


WHY: tuple[Literal["failures", "distance"], ...] = ("failures", "distance")
"""The tables of what answers are and where their needles lie, by name and value."""


LIKELIHOOD: Literal["likelihood"] = "likelihood"
"""The table of likelihoods, by name and value."""


CONTROL_MARGINS: Literal["control_margins"] = "control_margins"
"""The table of margins beside those of controls, by name and value."""


class Shown(Closed):
    """Everything that a study shows."""

    tables: tuple[TableDefinition, ...] = ()
    figures: tuple[FigureDefinition, ...] = ()
    comparisons: dict[Name, TableDefinition] = Field({})
    """Tables of the paper that are set beside the published ones, by the name of the files."""
    pages: tuple[Page, ...] = ()
    claims: dict[str, tuple[Name, ...]] = Field({})
    """The tables of the paper that show the numbers of each of its claims."""
    left_out: tuple[str, ...] = ()
    """What the study would show if it had the cells, a line each."""

    def named(self, *values: TableValue) -> list[Name]:
        """The names of the tables of these values."""
        return [table.name for table in self.tables if table.value in values]

    def tables_of(self, targets: Collection[str]) -> list[Name]:
        """The names of the tables that targets make.

        Raises:
            StudyError: a target makes no table of the study.
        """
        known = {target: table.name for table in self.tables for target in table.targets}
        for target in targets:
            if target not in known:
                raise StudyError(f"target {unknown(target, known)}")
        return [known[target] for target in targets]


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
    listed = [table.value for each in shown for table in each.tables]
    if study.controls and "controls" not in listed:
        shown.append(Preset(tables=(TableDefinition(name="controls", value="controls"),)))
    shown += [_of_likelihood(grid, study.tables)] if study.likelihood else []
    if study.controls and _has_margins(grid) and CONTROL_MARGINS not in listed:
        beside = TableDefinition(name=CONTROL_MARGINS, value=CONTROL_MARGINS)
        shown.append(Preset(tables=(beside,)))
    tables = tuple(table for each in shown for table in each.tables)
    _check_likelihood(study, grid, tables)
    _check_asked(tables, grid, models, has_controls=bool(study.controls))
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
        pages=(
            *_pages(is_paper=not faults, is_compared=bool(comparisons)),
            *(("controls",) if study.controls else ()),
        ),
        claims=paper.claims if not faults else {},
        left_out=(f"no tables of the paper: {faults[0]}",) if faults and not study.tables else (),
    )


def _of_hazards(grid: Grid, models: Sequence[ShownModel], paper: Preset) -> Shown:
    """The paper's tables that a hazard study has the cells of, and those of its other suites."""
    of_scores = [each for each in paper.tables if each.value not in WHY]
    tables = [each for each in of_scores if problem(each, grid, models) is None]
    others = set(grid.suites) - {each.suite for each in tables}
    more = derived(grid, others).tables  # Not every variant answers every suite.
    tables += [each for each in more if problem(each, grid, models) is None]
    return Shown(tables=tuple(tables), pages=("hazards", "explorer"))


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
        tables += [TableDefinition(name=each, value=each) for each in WHY]
    figures = [figure for name in chosen for figure in _derived_figures(name, grid.suites[name])]
    return Preset(tables=tuple(tables), figures=tuple(figures))


def _of_likelihood(grid: Grid, asked: object) -> Preset:
    """The table and figures of likelihoods; the table not where the study lists one."""
    listed = isinstance(asked, tuple) and any(each.value == LIKELIHOOD for each in asked)
    tables = () if listed else (TableDefinition(name=LIKELIHOOD, value=LIKELIHOOD),)
    kinds: tuple[FigureKind, ...] = ("margin_curve", "margin_distance")
    figures = tuple(
        FigureDefinition(name=_joined(_stem(name), kind), kind=kind, suite=name)
        for name, suite in grid.suites.items()
        for kind in kinds
        if any(task.distractors for task in suite.tasks)
    )
    return Preset(tables=tables, figures=figures)


def title(definition: TableDefinition, grid: Grid) -> str:
    """What stands above a table: its title, or what it shows in words."""
    if definition.title or definition.suite is None:
        return definition.title
    names = [task.name for task in selected(definition, grid.suites[definition.suite])]
    if len(names) == 1:
        return f"{definition.suite}: task {names[0]}"
    by = " and ".join(axis for axis in definition.columns if axis != "length")
    return f"{definition.suite}: " + (f"by {by}" if by else f"mean over {len(names)} tasks")


def _has_margins(grid: Grid) -> bool:
    """Whether some references are compared with wrong values."""
    return any(task.distractors for suite in grid.suites.values() for task in suite.tasks)


class _ByRow(TypedDict):
    suite: Name
    rows: tuple[Literal["model", "length"], ...]


def _derived_tables(name: Name, suite: AskedSuite) -> Iterator[TableDefinition]:
    stem = _stem(name)
    if len(suite.tasks) > 1:
        yield TableDefinition(name=_joined(stem, "mean"), suite=name, quoted=True)
    if depths(suite.tasks):
        by_row: _ByRow = {"suite": name, "rows": ("model", "length")}
        tasks = tuple(task.name for task in suite.tasks if task.depth is not None)
        yield TableDefinition(
            name=_joined(stem, "by_depth"), columns=("depth",), tasks=tasks, quoted=True, **by_row
        )
        if len(formats(suite.tasks)) > 1:
            yield TableDefinition(
                name=_joined(stem, "by_format"), columns=("format",), tasks=tasks, **by_row
            )
    for task in suite.tasks:
        if task.depth is None:
            only = len(suite.tasks) == 1
            yield TableDefinition(
                name=_joined(stem, _stem(task.name)), suite=name, tasks=(task.name,), quoted=only
            )


def _derived_figures(name: Name, suite: AskedSuite) -> Iterator[FigureDefinition]:
    stem = _stem(name)
    yield FigureDefinition(name=_joined(stem, "length_curve"), kind="length_curve", suite=name)
    if depths(suite.tasks):
        yield FigureDefinition(name=_joined(stem, "heatmap"), kind="depth_heatmap", suite=name)
        yield FigureDefinition(name=_joined(stem, "position"), kind="position_curve", suite=name)
    if any(task.needles for task in suite.tasks):
        yield FigureDefinition(name=_joined(stem, "distance"), kind="distance_curve", suite=name)
    yield FigureDefinition(name=_joined(stem, "failures"), kind="failure_bars", suite=name)
    yield FigureDefinition(name=_joined(stem, "cost"), kind="cost", suite=name)


def _check_likelihood(study: Study, grid: Grid, tables: Sequence[TableDefinition]) -> None:
    """Likelihoods are shown only where they are asked for."""
    for table in tables:
        if table.value == LIKELIHOOD and not study.likelihood:
            raise StudyError(
                f"study config: tables: {table.name} shows likelihoods, which nobody computes; set "
                "likelihood: true, or remove the table"
            )
        if table.value == CONTROL_MARGINS and not (study.controls and _has_margins(grid)):
            raise StudyError(
                f"study config: tables: {table.name} shows margins beside those of controls; set "
                "likelihood: true, list controls and ask for needles, or remove the table"
            )


def _check_asked(
    tables: Sequence[TableDefinition],
    grid: Grid,
    models: Sequence[ShownModel],
    *,
    has_controls: bool,
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
        if table.value == "controls" and not has_controls:
            raise StudyError(
                f"study config: controls: {table.name} shows what they score, and the study asks "
                "for none; list some, or remove the table"
            )
        fault = problem(table, grid, models)
        if fault:
            raise StudyError(f"study config: {fault}, or remove the table")


def _pages(*, is_paper: bool, is_compared: bool) -> tuple[Page, ...]:
    """The pages of a study: claims where it has the cells of the paper's tables."""
    of_paper: tuple[Page, ...] = ("audit", "claims", "published_claims") if is_paper else ()
    compared: tuple[Page, ...] = ("agreement",) if is_compared else ()
    return (*of_paper, "findings", *compared, "report", "results", "explorer")


def _all(preset: Preset) -> tuple[TableDefinition | FigureDefinition, ...]:
    return (*preset.tables, *preset.figures)


def _joined(suite: str, what: str) -> str:
    """The name of what shows something of a suite."""
    name = f"{suite}_{what}"
    if len(name) > LONGEST:
        raise StudyError(
            f"study config: suites: {name} has over {LONGEST} characters, too many for the name "
            "of a table; choose a shorter one for the suite, or list tables"
        )
    return name


def _stem(name: Name) -> str:
    """A name as part of the name of a table, which is a target and so a plain word."""
    word = re.sub(r"[^a-z0-9]+", "_", name)
    return word if word[0].isalpha() else f"suite_{word}"
