"""The artifact's tasks by name, with exactly the parameters its two task files give them.

What both files call `num_needle_k: 1` with four queries means four keys, as its code has it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from needlework.errors import StudyError
from needlework.parsing import unknown
from needlework.tasks.specs import (
    CommonWordsSpec,
    FrequentWordsSpec,
    NiahSpec,
    QaSpec,
    Spec,
    VariableTrackingSpec,
)

DEPTHS = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
"""Percent; the paper reports seven of them."""


@dataclass(frozen=True)
class Task:
    """What to make, and in which of the artifact's two ways its size is searched."""

    spec: Spec
    fine_steps: bool = False
    """The depth study's copy of the generator always searches in steps of five."""


_SYNTHETIC: Mapping[str, Spec] = {
    "niah_single_1": NiahSpec(haystack="repeat"),
    "niah_single_2": NiahSpec(haystack="essay"),
    "niah_single_3": NiahSpec(haystack="essay", value_kind="uuids"),
    "niah_multikey_1": NiahSpec(haystack="essay", keys=4),
    "niah_multikey_2": NiahSpec(haystack="needle"),
    "niah_multikey_3": NiahSpec(haystack="needle", key_kind="uuids", value_kind="uuids"),
    "niah_multivalue": NiahSpec(haystack="essay", values=4),
    "niah_multiquery": NiahSpec(haystack="essay", keys=4, queries=4),
    "vt": VariableTrackingSpec(),
    "cwe": CommonWordsSpec(common_repeats=30, uncommon_repeats=3),
    "fwe": FrequentWordsSpec(),
    "qa_1": QaSpec(source="squad"),
    "qa_2": QaSpec(source="hotpotqa"),
}
_ABLATION = {
    "niah_repeat_numbers": NiahSpec(haystack="repeat"),
    "niah_essay_numbers": NiahSpec(haystack="essay"),
    "niah_essay_uuids": NiahSpec(haystack="essay", value_kind="uuids"),
}


def _depth_tasks() -> dict[str, Task]:
    """Every haystack at a random depth and at every fixed one."""
    tasks = {}
    for name, spec in _ABLATION.items():
        tasks[f"{name}_random"] = Task(spec, fine_steps=True)
        for depth in DEPTHS:
            placed = spec.model_copy(update={"depth": depth})
            tasks[f"{name}_{depth}"] = Task(placed, fine_steps=True)
    return tasks


TASKS: Mapping[str, Task] = MappingProxyType(
    {name: Task(spec) for name, spec in _SYNTHETIC.items()} | _depth_tasks()
)


def find(name: str, *, uuid_numbers: bool = True) -> Task:
    """The task of a name.

    `uuid_numbers` is hazard H4: the depth study's file asks for numbers in every UUID task with a
    fixed depth, so they repeat the number tasks byte for byte. Without it they hold UUIDs.

    Raises:
        StudyError: the artifact has no such task.
    """
    if name not in TASKS:
        raise StudyError(f"--task: {unknown(name, TASKS)} (tasks of the released artifact)")
    task = TASKS[name]
    spec = task.spec
    at_depth = isinstance(spec, NiahSpec) and spec.depth is not None
    if uuid_numbers and at_depth and name.startswith("niah_essay_uuids"):
        return replace(task, spec=spec.model_copy(update={"value_kind": "numbers"}))
    return task
