"""The controls of a study: which cells they are, under which names, and what makes their samples.

A control is a run of its own, `model+control`, with samples of its own and the weights of its
model. `needlework.tasks.controls` says what it changes of a sample.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from pydantic import Field, PositiveInt

from needlework.errors import StudyError
from needlework.parsing import Closed
from needlework.study.config import ModelEntry, Study, SuiteName, SuiteTasks
from needlework.study.definitions import Name
from needlework.study.grid import Cell
from needlework.study.shown import RunName
from needlework.tasks.controls import CONTROLS, Control, has
from needlework.tasks.specs import Spec

LABELS: Mapping[Control, str] = {
    "truncated": "truncated",
    "no-haystack": "no haystack",
    "no-needle": "no needle",
}
"""What tables and figures call a control."""


class ControlCell(Closed):
    """One control of one model on one suite at one length."""

    model: Name
    control: Control
    suite: SuiteName
    length: PositiveInt
    tasks: tuple[Name, ...] = Field(min_length=1)
    """Those of the suite that have such a control, in its order."""

    @property
    def cell(self) -> Cell:
        """Where its answers are."""
        return Cell(run_of(self.model, self.control), self.suite, self.length)


def run_of(model: Name, control: Control) -> RunName:
    """The name under which a control of a model is predicted and scored."""
    return f"{model}+{control}"


def control_of(run: RunName) -> Control | None:
    """The control that a run is; None for a model, and for any other variant of one."""
    name = run.partition("+")[2]
    return next((each for each in CONTROLS if each == name), None)


def planned(
    study: Study, models: Mapping[Name, ModelEntry], suites: SuiteTasks
) -> tuple[ControlCell, ...]:
    """The cells of the controls that a study asks for, none of which another one answers.

    A prompt without haystack has no length: it is asked once, beside the longest one of the suite.
    A prompt that is no longer than the training is the truncated one itself.

    Raises:
        StudyError: no task has such a control, or a task's answer fills the training length.
    """
    for control in study.controls:
        if not any(has(spec, control) for specs in suites.values() for spec in specs.values()):
            tasks = ", ".join(task for specs in suites.values() for task in specs)
            raise StudyError(
                f"study config: controls: {control}: no task of the study has it ({tasks}); take "
                "it out, or add such a task"
            )
    return tuple(
        each
        for name, entry in models.items()
        for control in study.controls
        for suite, specs in suites.items()
        for each in _of_suite(study, name, entry, control, suite, specs)
    )


def _of_suite(
    study: Study,
    name: Name,
    entry: ModelEntry,
    control: Control,
    suite: SuiteName,
    specs: Mapping[Name, Spec],
) -> Iterator[ControlCell]:
    tasks = tuple(task for task, spec in specs.items() if has(spec, control))
    lengths: Sequence[int] = study.suites[suite].lengths
    if control == "no-haystack":
        lengths = lengths[-1:]
    if control == "truncated":
        lengths = [length for length in lengths if length > entry.trained_length]
        for task in tasks if lengths else ():
            if specs[task].tokens_to_generate >= entry.trained_length:
                raise StudyError(
                    f"study config: controls: truncated: {name} was trained on "
                    f"{entry.trained_length} tokens, and an answer to {task} may take "
                    f"{specs[task].tokens_to_generate}, which leaves none for a prompt; take "
                    "`truncated`, the model or the task out"
                )
    for length in lengths if tasks else ():
        yield ControlCell(model=name, control=control, suite=suite, length=length, tasks=tasks)


def runs(cells: Sequence[ControlCell], models: Mapping[Name, ModelEntry]) -> dict[str, ModelEntry]:
    """What is predicted beside the models: a description for every run of a control."""
    return {
        each.cell.model: models[each.model].model_copy(
            update={
                "hazards": (),
                "label": f"{models[each.model].label}, {LABELS[each.control]}",
            }
        )
        for each in cells
    }


def words(run: RunName, entry: ModelEntry) -> list[str]:
    """What tells the samples of a control from those of its model."""
    control = control_of(run)
    if control == "truncated":
        return [f"last-{entry.trained_length}"]
    return [control] if control else []


def untruncated(prompts: str) -> str:
    """The folder of the samples of which those of a folder are the ends; any other as it is."""
    return re.sub(r"\+last-[0-9]+$", "", prompts)


def options(run: RunName, entry: ModelEntry) -> dict[str, str | int | None]:
    """What makes the samples of a control, beside what makes those of its model."""
    control = control_of(run)
    return {
        "control": control,
        "trained_length": entry.trained_length if control == "truncated" else None,
    }


def read_length(cell: Cell, entry: ModelEntry, lengths: Sequence[int]) -> int:
    """Tokens that a prompt of a cell and its answer take, at most; `lengths` are its suite's.

    Needles and question alone fit into the shortest length.
    """
    control = control_of(cell.model)
    if control == "truncated":
        return min(cell.length, entry.trained_length)
    return min(lengths) if control == "no-haystack" else cell.length
