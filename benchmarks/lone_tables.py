"""What each table of the paper costs alone: `python -m benchmarks.lone_tables`, as Markdown.

Every line is a dry run of one target on an empty study, with all checkpoints locked: the cells that
are answered, whole or the tasks of them that the table shows, the samples that are asked and the
datasets they come from, and the processor time of the dry run itself.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from needlework.parsing import read_keys
from needlework.study.plan import Plan, resolve
from tests.locks_for_tests import lock_all
from tests.workflow.conftest import copy_project, planned

STUDIES = ("config/config.yaml", "config/paper.yaml")


def main() -> None:
    """Write the table, a line as soon as it is known."""
    with tempfile.TemporaryDirectory() as name:
        folder = copy_project(Path(name))
        lock_all(folder / "config")
        sides = [f"{study}: cells, samples, datasets | dry run, CPU s" for study in STUDIES]
        sys.stdout.write(f"| target | {' | '.join(sides)} |\n")
        sys.stdout.write(f"|---|{'---|--:|' * len(STUDIES)}\n")
        for line in lines(folder):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()


def lines(folder: Path) -> Iterator[str]:
    """One line for every table, and one for a study as a whole."""
    plans = [resolve(read_keys(Path(study)), Path("config")) for study in STUDIES]
    for table in plans[0].shows.tables:
        target = table.targets[-1]
        yield _line(folder, target, [(plan, [table.name]) for plan in plans])
    yield _line(folder, "all", [(plan, None) for plan in plans])


def _line(folder: Path, target: str, asked: list[tuple[Plan, list[str] | None]]) -> str:
    cells = [target if target == "all" else f"`{target}`"]
    for study, (plan, tables) in zip(STUDIES, asked, strict=True):
        began = os.times()
        jobs = planned(folder, *([] if target == "all" else [target]), "--configfile", study)
        took = os.times()
        cells += [_told(jobs, plan, tables), f"{_children(took) - _children(began):.1f}"]
    return f"| {' | '.join(cells)} |"


def _told(jobs: dict[str, int], plan: Plan, tables: list[str] | None) -> str:
    whole, part = jobs.get("predict", 0), jobs.get("predict_part", 0)
    needs = plan.needs(tables)
    if len(needs) != whole + part:
        raise SystemExit(f"{whole + part} cells would run, {len(needs)} are needed")
    kinds = [f"{count} {kind}" for count, kind in ((whole, "whole"), (part, "in part")) if count]
    # A cell that is asked whole is asked all of its tasks.
    tasks = sum(len(plan.tasks[cell.suite] if whole else found) for cell, found in needs.items())
    samples = f"{plan.study.samples * tasks:,}"
    return f"{' and '.join(kinds) or '0'}, {samples}, {jobs.get('dataset', 0)}"


def _children(times: os.times_result) -> float:
    return times.children_user + times.children_system


if __name__ == "__main__":
    main()
