"""Where claims find their scores: the cells of a study, or published tables."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from needlework.errors import RecordError, StudyError
from needlework.paper.published import Number, read_tables
from needlework.parsing import parse, read
from needlework.scores.cells import estimated, read_scores
from needlework.scores.estimates import Scores
from needlework.scores.paired import Paired
from needlework.statistics.contrasts import Interval
from needlework.statistics.means import Estimate, macro_mean, wilson
from needlework.study.config import Models
from needlework.study.grid import Grid
from needlework.study.paper import FORMATS, TASKS
from needlework.study.shown import PublishedModel, ShownModel


class Evidence(Protocol):
    """Scores by model and length; each raises RecordError where it has none.

    Intervals where samples are known and paired, else estimates.
    """

    def lengths(self, suite: str) -> list[int]:
        """The lengths at which a suite was run, ascending."""

    def ruler(self, model: ShownModel, length: int) -> Estimate | Interval:
        """The mean over the 13 RULER tasks."""

    def over_formats(self, model: ShownModel, *, depth: int, length: int) -> Estimate | Interval:
        """The mean over the needle formats at one depth."""

    def depth(
        self, model: ShownModel, form: str, *, depth: int, length: int
    ) -> Estimate | Interval:
        """One needle format at one depth."""


class Estimates(Evidence, Protocol):
    """Scores as tables have them, task by task as well."""

    def ruler(self, model: ShownModel, length: int) -> Estimate:
        """The mean over the 13 RULER tasks."""

    def task(self, model: ShownModel, task: str, length: int) -> Estimate:
        """One RULER task."""

    def over_formats(self, model: ShownModel, *, depth: int, length: int) -> Estimate:
        """The mean over the needle formats at one depth."""

    def depth(self, model: ShownModel, form: str, *, depth: int, length: int) -> Estimate:
        """One needle format at one depth."""


class OfStudy:
    """A study's own scores, in its suites `ruler` and `depth`."""

    def __init__(self, scores: Scores) -> None:
        self._scores = scores

    def lengths(self, suite: str) -> list[int]:
        """The lengths at which a suite was run, ascending."""
        asked = self._scores.grid.suites.get(suite)
        return list(asked.lengths) if asked else []

    def ruler(self, model: ShownModel, length: int) -> Estimate:
        """The mean over the 13 RULER tasks."""
        return self._scores.mean(model, "ruler", TASKS, length)

    def task(self, model: ShownModel, task: str, length: int) -> Estimate:
        """One RULER task."""
        return self._scores.estimate(model, "ruler", task, length)

    def over_formats(self, model: ShownModel, *, depth: int, length: int) -> Estimate:
        """The mean over the needle formats at one depth."""
        tasks = [self.needle(form, depth) for form in FORMATS]
        return self._scores.mean(model, "depth", tasks, length)

    def depth(self, model: ShownModel, form: str, *, depth: int, length: int) -> Estimate:
        """One needle format at one depth."""
        return self._scores.estimate(model, "depth", self.needle(form, depth), length)

    def needle(self, form: str, depth: int) -> str:
        """The name of the task with this format and depth."""
        for task in self._scores.suite("depth").tasks:
            if (task.format, task.depth) == (form, depth):
                return task.name
        raise RecordError(f"suite depth has no task of {form} at depth {depth}")


class OfSamples:
    """A study's own samples, in the same suites: what scores share in questions stays paired."""

    def __init__(self, paired: Paired) -> None:
        self._paired = paired
        self._study = OfStudy(paired.scores)

    def lengths(self, suite: str) -> list[int]:
        """The lengths at which a suite was run, ascending."""
        return self._study.lengths(suite)

    def ruler(self, model: ShownModel, length: int) -> Interval:
        """The mean over the 13 RULER tasks."""
        return self._paired.mean(model, "ruler", TASKS, length)

    def over_formats(self, model: ShownModel, *, depth: int, length: int) -> Interval:
        """The mean over the needle formats at one depth."""
        tasks = [self._study.needle(form, depth) for form in FORMATS]
        return self._paired.mean(model, "depth", tasks, length)

    def depth(self, model: ShownModel, form: str, *, depth: int, length: int) -> Interval:
        """One needle format at one depth."""
        return self._paired.mean(model, "depth", [self._study.needle(form, depth)], length)


class Published:
    """Published tables as estimates: a percentage of so many samples, taken at its word.

    The samples were not published, so the intervals are inferred: those of as many yes-or-no
    samples with that mean. Partial credit varies less; for it they are too wide, never too narrow.
    """

    def __init__(self, numbers: Iterable[Number], *, samples: int) -> None:
        self._samples = samples
        self._values: Mapping[tuple[str, str, int | None, int | None, str], Number] = {
            (number.model, number.task, number.length, number.depth, number.format): number
            for number in numbers
            if not number.is_average
        }

    def models(self) -> set[str]:
        """The models that some table shows."""
        return {model for model, *_ in self._values}

    def lengths(self, suite: str) -> list[int]:
        """The lengths of the tables of a suite, ascending."""
        return sorted(
            {
                number.length
                for number in self._values.values()
                if number.length is not None and (number.task == "depth") == (suite == "depth")
            }
        )

    def ruler(self, model: ShownModel, length: int) -> Estimate:
        """The mean over the 13 RULER tasks, from their own tables."""
        parts = [self._estimate(model, task, length=length) for task in TASKS]
        return macro_mean(parts, independent=True)

    def task(self, model: ShownModel, task: str, length: int) -> Estimate:
        """The number in the table of a RULER task."""
        return self._estimate(model, task, length=length)

    def over_formats(self, model: ShownModel, *, depth: int, length: int) -> Estimate:
        """The number in a table by depth, as if of one format's samples."""
        return self._estimate(model, "depth", length=length, depth=depth)

    def depth(self, model: ShownModel, form: str, *, depth: int, length: int) -> Estimate:
        """The number in the table by format."""
        return self._estimate(model, "depth", length=length, depth=depth, form=form)

    def _estimate(
        self, model: ShownModel, task: str, *, length: int, depth: int | None = None, form: str = ""
    ) -> Estimate:
        found = self._values.get((model.published_as or "", task, length, depth, form))
        if found is None:
            at = f" at depth {depth}" if depth is not None else ""
            raise RecordError(f"{model.label}: no {form or task} score{at} at length {length}")
        return wilson(float(found.value) / 100, count=self._samples)


def read_evidence(
    source: Path, *, samples: int, grid: Grid | None = None, seed: int | None = None
) -> Evidence:
    """The evidence in a score file, or in a folder of published tables of `samples` samples each.

    The grid of its study says which cells a score file should have; its seed is that of resamples.

    Raises:
        RecordError: the file or a table cannot be read.
        StudyError: there is no grid, or no seed, for a score file.
    """
    if source.is_dir():
        return Published(read_tables(source), samples=samples)
    if grid is None or seed is None:
        raise StudyError(
            f"{source}: name the grid and the keys of its study, --grid FOLDER/plan/grid.json "
            "--study FOLDER/plan/study.json"
        )
    rows = read_scores(source)
    return OfSamples(Paired(rows, Scores(estimated(rows), grid), seed=seed))


def read_models(path: Path, evidence: Evidence) -> list[ShownModel]:
    """What to call the models: a study's own list, or of a catalogue those that tables show.

    Raises:
        StudyError: the file is neither.
    """
    content = read(path)
    kind = PublishedModel if isinstance(evidence, Published) else ShownModel
    if isinstance(content, list):
        return [parse(kind, each, where=str(path)) for each in content]
    catalogue = parse(Models, content, where=str(path))
    shown = evidence.models() if isinstance(evidence, Published) else catalogue.models.keys()
    found = [(name, entry) for name, entry in catalogue.models.items() if name in shown]
    if kind is PublishedModel:
        return [entry.published(name) for name, entry in found]
    return [entry.shown(name, entry.wrapper.released) for name, entry in found]
