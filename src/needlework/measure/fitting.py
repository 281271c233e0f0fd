"""Whether the tasks of a measurement fit into its lengths, known before anything is computed."""

from collections.abc import Iterator
from pathlib import Path

from needlework import tokenizers
from needlework.errors import BudgetError
from needlework.external.registry import DIRECTORY
from needlework.study import datasets, inputs
from needlework.study.datasets import Dataset
from needlework.study.plan import Plan
from needlework.study.variants import reasoning, template_options
from needlework.tasks.prompts import CHAT
from needlework.tasks.shortest import shortest_length
from needlework.tasks.specs import FileSpec, QaSpec
from needlework.tokenizers import Tokenizer


def check(plan: Plan) -> None:
    """Return where every task of a study of one model fits into the shortest length it is asked at.

    Prompts of files are as long as they are; their datasets are refused when they are made.

    Raises:
        BudgetError: one does not fit; the line names the smallest length that all of them fit.
    """
    (entry,) = plan.models.values()
    source = plan.tokenizers[entry.tokenizer]
    chat = entry.wrapper.corrected == CHAT
    tokenizer = tokenizers.load(source.source, revision=source.revision, begins=not chat)
    needed = [(each, _shortest(each, tokenizer)) for each in _wanted(plan)]
    short = [(each, length) for each, length in needed if length > each.length]
    if short:
        named = ", ".join(f"{each.task} takes {length:,}" for each, length in short)
        raise BudgetError(
            f"--lengths {min(each.length for each, _ in short)}: too short, for {named} tokens "
            "without any haystack; name lengths from "
            f"{max(length for _, length in short)} on, or other --tasks"
        )


def _wanted(plan: Plan) -> Iterator[Dataset]:
    """The datasets of the shortest length of every task."""
    for suite, tasks in plan.tasks.items():
        length = min(plan.study.suites[suite].lengths)
        for task, spec in tasks.items():
            if not isinstance(spec, FileSpec):
                yield _dataset(plan, task, length)


def _dataset(plan: Plan, task: str, length: int) -> Dataset:
    ((name, entry),) = plan.models.items()
    asked, tokenizer = plan.study, plan.tokenizers[entry.tokenizer]
    spec, wording = plan.all_tasks[task], plan.wording(name)
    questions = inputs.of_samples(spec, wording) if isinstance(spec, QaSpec) else []
    return Dataset(
        task=task,
        spec=spec,
        length=length,
        samples=asked.samples,
        seed=asked.seed,
        protocol="corrected",
        material=asked.material,
        wrapper=datasets.find_wrapper(
            entry.wrapper.corrected,
            "corrected",
            tokenizer=tokenizer.source,
            revision=tokenizer.revision,
            template_options=template_options(asked, entry),
            thinks=reasoning(asked, entry) is not None,
        ),
        wording=wording,
        resources=DIRECTORY,
        questions=Path(questions[-1]) if asked.material == "english" and questions else None,
    )


def _shortest(dataset: Dataset, tokenizer: Tokenizer) -> int:
    return shortest_length(
        dataset.spec,
        material=datasets.material(dataset),
        tokenizer=tokenizer,
        length=dataset.length,
        samples=dataset.samples,
        seed=dataset.seed,
        task=dataset.task,
    )
