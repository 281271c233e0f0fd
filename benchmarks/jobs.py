"""What one contender is asked to answer, and what it reports: the files between the processes."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from needlework.parsing import Closed
from needlework.records import Sample
from needlework.tasks.metrics import Metric

Contender = Literal[
    "one by one",
    "harness",
    "llama.cpp f16",
    "llama.cpp",
    "ours alone",
    "ours",
    "ours decided",
    "ours bfloat16",
]


class Task(Closed):
    """The samples of one task and how they are answered."""

    name: str
    samples: tuple[Sample, ...]
    tokens_to_generate: int
    metric: Metric


class Cell(Closed):
    """The tasks of a suite at one length."""

    name: str
    """suite/length"""
    tasks: tuple[Task, ...]

    @property
    def longest(self) -> int:
        """Tokens of the longest sample, its answer included."""
        return max(sample.length for task in self.tasks for sample in task.samples)

    @property
    def one(self) -> "Cell":
        """One sample of the first task."""
        return self.model_copy(update={"tasks": self.tasks[:1]}).few(1)

    def few(self, samples: int) -> "Cell":
        """The first samples of every task."""
        tasks = (task.model_copy(update={"samples": task.samples[:samples]}) for task in self.tasks)
        return self.model_copy(update={"tasks": tuple(tasks)})


class Job(Closed):
    """The cells that one contender answers in one process, one after the other."""

    contender: Contender
    checkpoint: Path
    """In the format of the contender."""
    tokenizer: Path
    begins: bool = True
    """Whether prompts get the tokenizer's begin token; chat templates write their own."""
    rows: int = 64
    """Prompts in one batch of lm-evaluation-harness; as many as our engine writes on a CPU."""
    threads: int
    cells: tuple[Cell, ...]


class Answers(Closed):
    """What a contender wrote in one cell."""

    texts: dict[str, str]
    """The text after every prompt, by `address`, special tokens left out."""
    prompt_tokens: int | None = None
    read_tokens: int | None = None
    """Prompt tokens that were computed: without those shared with another sample."""
    generated_tokens: int | None = None
    forward: float | None = None
    """CPU seconds of the model's forward calls."""
    reading: float | None = None
    """CPU seconds of those of them that read several tokens of a row."""
    tokenizing: float | None = None
    """CPU seconds in which prompts became tokens."""
    products: float | None = None
    """Floating-point operations of the layers' weights over the tokens that were read: no reader
    of these prompts does without."""
    attending: float | None = None
    """Those of queries, keys and values, where no prompt was read in another's place."""


class Run(Closed):
    """What it took to answer one cell; loading and a first small cell are not counted."""

    cell: str
    cpu: float
    """Seconds of user and system time, all threads."""
    wall: float
    """Seconds."""
    answers: Answers


class Runs(Closed):
    """The runs of one job, in the order of its cells."""

    runs: tuple[Run, ...]


Answer = Callable[[Cell], Answers]
"""A contender whose model is loaded."""


def address(task: str, index: int) -> str:
    """The name of a sample in its cell."""
    return f"{task}:{index}"
