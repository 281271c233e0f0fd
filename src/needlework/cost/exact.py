"""The work of cells whose datasets exist, counted instead of expected.

No torch.
"""

from collections.abc import Mapping
from pathlib import Path

from needlework import tokenizers
from needlework.cost.architectures import Weights, architecture
from needlework.cost.work import Work, parts_at_one_place
from needlework.files import read_records
from needlework.records import Sample
from needlework.study.config import SuiteName
from needlework.study.grid import Cell
from needlework.study.plan import Plan
from needlework.tokenizers.prefixes import Tokens, computed_tokens, plan_forest, plan_separately
from needlework.tokenizers.repeated import Repeated


def count(plan: Plan, results: Path) -> dict[Cell, list[Work]]:
    """The work of every cell all of whose datasets lie below `results`.

    Raises:
        RecordError: a dataset is damaged.
    """
    counted: dict[tuple[str, SuiteName, int, bool], list[Work]] = {}
    found = {}
    for cell in plan.cells():
        spec = architecture(Weights.of(plan.models[cell.model]))
        folder = results / "data" / plan.prompts(cell.model) / str(cell.length)
        paths = {task: folder / f"{task}.jsonl" for task in plan.tasks_of(cell)}
        if spec is None or not all(path.is_file() for path in paths.values()):
            continue
        key = (plan.prompts(cell.model), cell.suite, cell.length, spec.one_shot)
        if key not in counted:
            counted[key] = _count(plan, cell, paths, whole=spec.one_shot)
        found[cell] = counted[key]
    return found


def _count(plan: Plan, cell: Cell, paths: Mapping[str, Path], *, whole: bool) -> list[Work]:
    """The work of each task; what prompts of several tasks share is charged to the first."""
    entry = plan.tokenizers[plan.models[cell.model].tokenizer]
    tokenizer = tokenizers.load(entry.source, revision=entry.revision)
    prompts = {task: _tokenized(path, tokenizer) for task, path in paths.items()}
    together = [tokens for each in prompts.values() for tokens in each]
    forest = plan_separately(together) if whole else plan_forest(together)
    computed = computed_tokens(forest, len(together))
    work, start = [], 0
    for task, spec in plan.tasks_of(cell).items():
        samples = len(prompts[task])
        asked = sum(map(len, prompts[task]))
        read = sum(computed[start : start + samples])
        start += samples
        shared = (asked - read) / max(1, samples - 1)
        spread = 0.0 if parts_at_one_place(spec) else 2 * shared
        work.append(Work(samples, asked / samples, shared, spec.tokens_to_generate, spread))
    return work


def _tokenized(path: Path, tokenizer: tokenizers.Tokenizer) -> list[Tokens]:
    """The prompts as a model reads them."""
    return Repeated(tokenizer).encode([sample.input for sample in read_records(path, Sample)])
