"""The cells of a study: what every model is asked, and what its controls are."""

from needlework.parsing import Closed
from needlework.study import variants
from needlework.study.config import ModelEntry, Study, SuiteName, SuiteTasks
from needlework.study.controls import ControlCell, control_of, read_length
from needlework.study.definitions import Name
from needlework.study.grid import AskedSuite, AskedTask, Cell, Grid
from needlework.study.shown import RunName
from needlework.tasks.specs import Spec


class Cells(Closed):
    """A study with the models and tasks that its names stand for."""

    study: Study
    models: dict[RunName, ModelEntry]
    """What is predicted, with the defects that are on: models or variants of them, and controls."""
    studied: tuple[variants.StudiedModel, ...] = ()
    """What a hazard study is about."""
    controls: tuple[ControlCell, ...] = ()
    """What is asked beside the cells of the grid."""
    tasks: SuiteTasks

    def grid(self) -> Grid:
        """The cells of the study, as data; those of its controls stand beside them."""
        without = variants.without(self.studied)
        suites = {
            name: AskedSuite(
                tasks=tuple(
                    AskedTask.of(task, spec, likelihood=self.study.likelihood)
                    for task, spec in self.tasks[name].items()
                ),
                lengths=suite.lengths,
            )
            for name, suite in self.study.suites.items()
        }
        return Grid(models=tuple(self.measured()), suites=suites, without=without)

    def cells(self) -> list[Cell]:
        """Every cell that is answered: those of the grid, and those of controls."""
        return [*self.grid().cells(), *(each.cell for each in self.controls)]

    def tasks_of(self, cell: Cell) -> dict[Name, Spec]:
        """The tasks that are asked in a cell: those of its suite, or those with such a control."""
        only = next((each.tasks for each in self.controls if each.cell == cell), None)
        specs = self.tasks[cell.suite].items()
        return {task: spec for task, spec in specs if only is None or task in only}

    def read_length(self, cell: Cell) -> int:
        """Tokens that a prompt of a cell and its answer take, at most."""
        lengths = self.study.suites[cell.suite].lengths
        return read_length(cell, self.models[cell.model], lengths)

    def shares(self, cell: Cell) -> bool:
        """Whether prompts of a cell begin alike, as their ends alone do not."""
        return control_of(cell.model) != "truncated"

    def weights_of(self, run: str) -> str:
        """The first run with the weights of this one: what is verified there holds here."""
        weights = variants.weights_of(run)
        return next(name for name in self.models if variants.weights_of(name) == weights)

    def metrics(self, suite: SuiteName) -> dict[Name, str]:
        """How answers to the tasks of a suite are scored, by which one is found to be decided."""
        return {task: spec.metric for task, spec in self.tasks[suite].items()}

    def earlier(self, cell: Cell) -> list[Cell]:
        """The cells before this one that ask a model some of the same samples, which it takes over.

        A task may be in several suites, which meet where they have a length in common; a prompt may
        be too short to be truncated.
        """
        cells = self.cells()
        asks = {cell.model}
        if control_of(cell.model) == "truncated":
            asks.add(variants.weights_of(cell.model))
        return [
            other
            for other in cells[: cells.index(cell)]
            if other.model in asks
            and other.length == cell.length
            and not self.tasks_of(other).keys().isdisjoint(self.tasks_of(cell))
        ]

    @property
    def all_tasks(self) -> dict[Name, Spec]:
        """The tasks of all suites, by name."""
        return {name: spec for specs in self.tasks.values() for name, spec in specs.items()}

    def measured(self) -> dict[RunName, ModelEntry]:
        """The runs of the grid: all but controls."""
        return {run: entry for run, entry in self.models.items() if control_of(run) is None}
