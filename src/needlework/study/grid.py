"""The cells of a study, as data: every model, on every suite, at every length."""

from collections.abc import Collection
from typing import NamedTuple

from pydantic import Field, PositiveInt

from needlework.errors import StudyError
from needlework.parsing import Closed, unknown
from needlework.study.config import SuiteName
from needlework.study.definitions import Name
from needlework.study.shown import RunName
from needlework.tasks.specs import NiahSpec, QaSpec, Spec, needle_format, question_group


class Cell(NamedTuple):
    """One model on one suite at one length: one job on one device."""

    model: str
    suite: SuiteName
    length: int

    @property
    def place(self) -> str:
        """What it is called, and where its files lie: MODEL/SUITE/LENGTH."""
        return f"{self.model}/{self.suite}/{self.length}"


class AskedTask(Closed):
    """A task of a suite, as far as tables distinguish tasks."""

    name: Name
    format: str | None = None
    """What its needle is made of, where its depth is fixed."""
    depth: int | None = None
    """Where its needle lies, in percent, where that is fixed."""
    needles: bool = False
    """Whether its samples say where the needle with the answer lies."""
    distractors: bool = Field(False, exclude_if=lambda value: not value)
    """Whether its references are compared with wrong values, in a study of likelihoods."""
    questions: Name
    """Tasks with equal `questions` ask the same ones, sample by sample."""

    @classmethod
    def of(cls, name: Name, spec: Spec, *, likelihood: bool = False) -> "AskedTask":
        """A task as tables see it, in a study of likelihoods or in another one."""
        return cls(
            name=name,
            format=needle_format(spec),
            depth=getattr(spec, "depth", None),
            needles=isinstance(spec, NiahSpec | QaSpec),
            distractors=likelihood and isinstance(spec, NiahSpec),
            questions=question_group(spec, name),
        )


class AskedSuite(Closed):
    """The tasks and lengths of a suite."""

    tasks: tuple[AskedTask, ...] = Field(min_length=1)
    lengths: tuple[PositiveInt, ...] = Field(min_length=1)

    def names(self) -> list[Name]:
        """Its tasks by name."""
        return [task.name for task in self.tasks]

    def independent(self, tasks: Collection[Name]) -> bool:
        """Whether these tasks ask different questions."""
        asked = [task.questions for task in self.tasks if task.name in tasks]
        return len(set(asked)) == len(asked)


class Grid(Closed):
    """The cells of a study: every model, on every suite, at every length."""

    models: tuple[RunName, ...]
    suites: dict[Name, AskedSuite] = Field(min_length=1)
    without: tuple[tuple[RunName, SuiteName], ...] = ()
    """Variants and suites without cells: another variant answers there, or no answer is needed."""

    def cells(self) -> list[Cell]:
        """Every cell, in the order of the tables."""
        return [
            Cell(model, suite, length)
            for model in self.models
            for suite, asked in self.suites.items()
            for length in asked.lengths
            if (model, suite) not in self.without
        ]

    def cell(self, place: str) -> Cell:
        """The cell that `place` names as model/suite/length.

        Raises:
            StudyError: the study has no such cell.
        """
        known = {cell.place: cell for cell in self.cells()}
        if place not in known:
            raise StudyError(f"cell {unknown(place, known)}; a cell is MODEL/SUITE/LENGTH")
        return known[place]
