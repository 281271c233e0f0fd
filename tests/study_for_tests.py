"""A study of two models and what it might have scored, without any file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from needlework import plan
from needlework.cells import CellEstimate
from needlework.plan import Plan
from needlework.statistics import Estimate, estimate

CONFIG = Path(__file__).parents[1] / "config"
COUNT = 10


def study_keys(**changed: Any) -> dict[str, Any]:
    """The keys of a small study, some of them changed."""
    keys = {
        "study": "small",
        "seed": 1,
        "samples": COUNT,
        "protocol": "corrected",
        "material": "nano",
        "suites": {"ruler": {"lengths": [128, 256]}, "depth": {"lengths": [128, 256, 512]}},
        "models": ["nano-mamba2", "nano-llama"],
    }
    return keys | changed


def small_plan(**changed: Any) -> Plan:
    """The small study, resolved with the shipped models and tasks."""
    return plan.resolve(study_keys(**changed), CONFIG)


def right(count: int, *, of: int = COUNT, failed: int = 0) -> Estimate:
    """An estimate from so many right answers."""
    wrong = of - count - failed
    return estimate([1.0] * count + [0.0] * wrong + [None] * failed)


def estimates(
    study: Plan, score: Callable[[str, str, int], Estimate] = lambda model, task, length: right(5)
) -> list[CellEstimate]:
    """One estimate per model, task and length; `score` says which."""
    from needlework.tasks.specs import needle_format

    return [
        CellEstimate(
            model=cell.model,
            suite=cell.suite,
            task=task,
            length=cell.length,
            depth=getattr(spec, "depth", None),
            format=needle_format(spec),
            estimate=score(cell.model, task, cell.length),
        )
        for cell in study.grid().cells()
        for task, spec in study.suite_tasks(cell.suite).items()
    ]
