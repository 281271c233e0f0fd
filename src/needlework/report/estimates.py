"""The estimates of a study by model, task and length, and which of them are missing.

Knows what a study asks for and what was scored; does not know tables.
"""

from collections.abc import Iterable

from needlework.cells import CellEstimate
from needlework.errors import RecordError
from needlework.paper import FORMATS, TASKS
from needlework.statistics import Estimate, macro_mean
from needlework.study import Cell, Grid, ShownModel, SuiteName


class NotComputedError(RecordError):
    """A cell that a study asks for and has no scores of."""

    def __init__(self, cell: Cell) -> None:
        super().__init__(
            f"no scores of {cell.model} on {cell.suite} at length {cell.length}; run the study, or "
            "ask for what there is with `snakemake partial`"
        )
        self.cell = cell


class Scores:
    """The estimates of a study, by model, task and length; with a grid, it knows what is missing.

    Raises:
        RecordError: a cell is none of the grid.
    """

    def __init__(self, cells: Iterable[CellEstimate], grid: Grid | None = None) -> None:
        self._cells = list(cells)
        self._wanted = set(grid.cells()) if grid else set()
        self._grid = grid
        found = {(cell.model, cell.suite, cell.length) for cell in self._cells}
        strange = found - self._wanted
        self._missing = {cell for cell in self._wanted if cell not in found}
        if grid and strange:
            model, suite, length = min(strange)
            raise RecordError(
                f"scores of {model} on {suite} at length {length}, which this study does not "
                "measure; two studies were mixed, delete the cells file and ask for it again"
            )
        self._by_key = {(cell.model, cell.task, cell.length): cell.estimate for cell in self._cells}
        self._depth_tasks = {
            (cell.format, cell.depth): cell.task for cell in self._cells if cell.suite == "depth"
        }

    def lengths(self, suite: str) -> list[int]:
        """The lengths at which a suite was run, ascending."""
        found = {cell.length for cell in self._cells if cell.suite == suite}
        return sorted(found | {cell.length for cell in self._wanted if cell.suite == suite})

    def computed(self, model: ShownModel, suite: SuiteName) -> list[int]:
        """The lengths of a suite, ascending, without those that the grid asks for and lacks."""
        lengths = self.lengths(suite)
        return [each for each in lengths if (model.name, suite, each) not in self._missing]

    def missing(self, suite: SuiteName) -> list[Cell]:
        """The cells of a suite that the grid asks for and nobody computed, by model and length."""
        return sorted(cell for cell in self._missing if cell.suite == suite)

    def task(self, model: ShownModel, task: str, length: int) -> Estimate:
        """The estimate of one cell.

        Raises:
            NotComputedError: the study asks for the cell and does not have it.
            RecordError: the study has no such cell.
        """
        found = self._by_key.get((model.name, task, length))
        if found is None:
            suite = self._grid and self._grid.suite_of(task)
            cell = Cell(model.name, suite or ("ruler" if task in TASKS else "depth"), length)
            if cell in self._wanted:
                raise NotComputedError(cell)
            raise RecordError(
                f"no scores of {model.name} on {task} at length {length}; was the cell computed, "
                "and is the cells file of this study?"
            )
        return found

    def depth(self, model: ShownModel, form: str, *, depth: int, length: int) -> Estimate:
        """The estimate of one needle format at one depth.

        Raises:
            RecordError: the study has no such cell.
        """
        return self.task(model, self.depth_task(form, depth), length)

    def depth_task(self, form: str, depth: int) -> str:
        """The name of the task with this needle format and depth."""
        return self._depth_tasks.get((form, depth), f"{form} at depth {depth}")

    def ruler(self, model: ShownModel, length: int) -> Estimate:
        """The mean over the 13 RULER tasks."""
        return macro_mean([self.task(model, task, length) for task in TASKS], independent=True)

    def tasks(self, suite: SuiteName) -> list[str]:
        """The tasks of a suite, in its order."""
        if self._grid:
            return list(self._grid.suites[suite].tasks)
        return list(dict.fromkeys(cell.task for cell in self._cells if cell.suite == suite))

    def mean(self, model: ShownModel, tasks: Iterable[str], length: int) -> Estimate:
        """The mean over tasks that ask different questions."""
        return macro_mean([self.task(model, task, length) for task in tasks], independent=True)

    def over_formats(self, model: ShownModel, *, depth: int, length: int) -> Estimate:
        """The mean over the needle formats, which hide the same needles."""
        parts = [self.depth(model, form, depth=depth, length=length) for form in FORMATS]
        return macro_mean(parts, independent=False)
