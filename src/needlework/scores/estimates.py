"""The estimates of a study by model, suite, task and length, and which of them are missing."""

from collections.abc import Collection, Iterable

from needlework.errors import RecordError
from needlework.scores.cells import CellEstimate
from needlework.statistics.means import Estimate, macro_mean
from needlework.study.config import SuiteName
from needlework.study.definitions import Name
from needlework.study.grid import AskedSuite, Cell, Grid
from needlework.study.shown import ShownModel


class NotComputedError(RecordError):
    """A cell that a study asks for and has no scores of."""

    def __init__(self, cell: Cell) -> None:
        super().__init__(
            f"no scores of {cell.model} on {cell.suite} at length {cell.length}; run the study, or "
            "ask for what there is with `snakemake partial`"
        )
        self.cell = cell


class Scores:
    """The estimates of a study, which also knows which of its cells are missing.

    Raises:
        RecordError: a cell is none of the grid.
    """

    def __init__(self, estimates: Iterable[CellEstimate], grid: Grid) -> None:
        self.grid = grid
        found = list(estimates)
        there = {Cell(each.model, each.suite, each.length) for each in found}
        self._wanted = set(grid.cells())
        strange = there - self._wanted
        if strange:
            model, suite, length = min(strange)
            raise RecordError(
                f"scores of {model} on {suite} at length {length}, which this study does not "
                "measure; results of two studies are mixed; delete the scores and rerun snakemake"
            )
        self._missing = self._wanted - there
        self._by_key = {
            (each.model, each.suite, each.task, each.length): each.estimate for each in found
        }

    def suite(self, name: SuiteName) -> AskedSuite:
        """The tasks and lengths of a suite.

        Raises:
            RecordError: the study has no such suite.
        """
        if name not in self.grid.suites:
            raise RecordError(f"this study has no suite {name}")
        return self.grid.suites[name]

    def computed(self, model: ShownModel, suite: SuiteName) -> list[int]:
        """The lengths of a suite, ascending, without those that are missing."""
        lengths = self.suite(suite).lengths
        return [each for each in lengths if Cell(model.name, suite, each) not in self._missing]

    def missing(self, suite: SuiteName) -> list[Cell]:
        """The cells of a suite that are not computed, by model and length."""
        return sorted(cell for cell in self._missing if cell.suite == suite)

    def estimate(self, model: ShownModel, suite: SuiteName, task: Name, length: int) -> Estimate:
        """The estimate of one task of a cell.

        Raises:
            NotComputedError: the study asks for the cell and does not have it.
            RecordError: the study has no such cell.
        """
        found = self._by_key.get((model.name, suite, task, length))
        if found is None:
            cell = Cell(model.name, suite, length)
            if cell in self._wanted:
                raise NotComputedError(cell)
            raise RecordError(
                f"no scores of {model.name} on {task} at length {length}, which this study does "
                "not measure"
            )
        return found

    def mean(
        self, model: ShownModel, suite: SuiteName, tasks: Collection[Name], length: int
    ) -> Estimate:
        """The mean over some tasks of a cell.

        Raises:
            NotComputedError: the study asks for the cell and does not have it.
            RecordError: the study has no such cell.
        """
        parts = [self.estimate(model, suite, task, length) for task in tasks]
        if len(parts) == 1:
            return parts[0]
        return macro_mean(parts, independent=self.suite(suite).independent(tasks))
