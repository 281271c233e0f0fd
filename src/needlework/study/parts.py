"""Which answers a request needs: whole cells, or some tasks of a cell for a few tables alone.

Which table shows what is decided in `presentation`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from needlework.study.definitions import Name
from needlework.study.grid import Cell
from needlework.study.plan import Plan

JOIN = "+"
"""Between the names of the tables that share a part."""
LONGEST = 180
"""Characters of the name of a part: file systems take 255, of which suffixes need some."""


class Part(NamedTuple):
    """The answers of a cell, all of them or those that some tables show."""

    cell: Cell
    tables: str
    """The tables that it is for, joined; empty for the whole cell."""
    tasks: tuple[Name, ...]
    """In the order of the suite."""

    @property
    def predictions(self) -> str:
        """The file of its answers, below the folder of the results."""
        return f"{self._folder('predictions')}.jsonl"

    @property
    def scores(self) -> str:
        """The file of its scores, below the folder of the results."""
        return f"{self._folder('scores')}.parquet"

    def _folder(self, whole: str) -> str:
        place = self.cell.place
        return f"shards/{place}/{self.tables}" if self.tables else f"{whole}/{place}"


def whole(plan: Plan, cells: Sequence[Cell]) -> list[Part]:
    """All the answers of these cells."""
    return [Part(cell, "", tuple(plan.tasks_of(cell))) for cell in cells]


def parts(
    plan: Plan, name: Name, asked: Sequence[Name], *, exists: Callable[[str], bool]
) -> list[Part]:
    """Where the answers behind a table are, if only the tables `asked` are requested.

    Without any `asked` everything is requested, and cells are answered whole. They are as well
    where a cell was requested before (`exists` is told the name of a file), and where the tables
    show all of it.
    """
    return [
        _part(plan, cell, asked) if asked and not exists(part.predictions) else part
        for cell in plan.needs([name])
        for part in whole(plan, [cell])
    ]


def named(plan: Plan, cell: Cell, tables: str) -> Part:
    """The part of a cell that is for these tables."""
    return Part(cell, tables, _shown(plan, cell, tables.split(JOIN)))


def made(plan: Plan, wanted: Sequence[Part]) -> Iterator[str]:
    """Every file between the config and the scores of these parts, below the folder of results."""
    for part in wanted:
        folder = f"data/{plan.prompts(part.cell.model)}/{part.cell.length}"
        yield from (f"{folder}/{task}.jsonl" for task in part.tasks)
        yield f"verified/{plan.weights_of(part.cell.model)}.json"
        yield part.predictions
        yield part.scores


def _part(plan: Plan, cell: Cell, asked: Sequence[Name]) -> Part:
    """What the tables that are asked for show of a cell."""
    tables = JOIN.join(sorted(name for name in set(asked) if cell in plan.needs([name])))
    found = named(plan, cell, tables)
    (all_of_it,) = whole(plan, [cell])
    is_whole = found.tasks == all_of_it.tasks or len(tables) > LONGEST
    return all_of_it if is_whole else found


def _shown(plan: Plan, cell: Cell, tables: Sequence[Name]) -> tuple[Name, ...]:
    shown = plan.needs(tables).get(cell, set())
    return tuple(task for task in plan.tasks[cell.suite] if task in shown)
