"""Models behind a server, as rules see them: their cells, and what their jobs need."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from needlework.study.grid import Cell
from needlework.study.served import ServedCell
from needlework.study.shown import RunName

if TYPE_CHECKING:
    from needlework.study.plan import Plan


def remote(plan: "Plan") -> list[RunName]:
    """The runs whose server somebody else has started: what asks it needs no GPU."""
    return [name for name, entry in plan.models.items() if entry.endpoint is not None]


def started(plan: "Plan") -> list[RunName]:
    """The runs whose server a job starts: one job answers all their cells."""
    return [name for name, entry in plan.models.items() if entry.serve is not None]


def cells_of(plan: "Plan", run: RunName) -> list[Cell]:
    """The cells that the job about the server of a run asks: all where it starts the server.

    Behind an endpoint it is the first one, of which some samples are asked.
    """
    own = [cell for cell in plan.cells() if cell.model == run]
    return own if plan.models[run].serve is not None else own[:1]


def datasets_of(plan: "Plan", cell: Cell) -> tuple[Path, ...]:
    """The datasets of a cell."""
    folder = Path("results", plan.study.study, "data", plan.prompts(cell.model), str(cell.length))
    return tuple(folder / f"{task}.jsonl" for task in plan.tasks_of(cell))


def parts(plan: "Plan") -> dict[str, list[ServedCell]]:
    """The cells of every run on a server, by the name of the file that commands read."""
    return {
        f"served/{run}": [
            ServedCell(
                suite=cell.suite,
                length=cell.length,
                datasets=datasets_of(plan, cell),
                tasks=plan.tasks_of(cell),
            )
            for cell in cells_of(plan, run)
        ]
        for run in [*remote(plan), *started(plan)]
    }


def verify_options(plan: "Plan", run: RunName) -> str:
    """What `needlework verify-model` needs to know of a run, beside what its server said."""
    tokenizer = plan.tokenizers[plan.models[run].tokenizer]
    words = ["--tokenizer", tokenizer.source]
    words += ["--tokenizer-revision", tokenizer.revision] if tokenizer.revision else []
    return f"{plan.checkpoint_options(run)} {shlex.join(words)}"


def gpus(plan: "Plan", run: RunName, otherwise: int) -> int:
    """GPUs of the job that starts the server of a run; `otherwise` is what a cell has."""
    own = plan.models[run].gpus
    return otherwise if own is None else own
