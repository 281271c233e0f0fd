"""What a released dataset costs, whole process and CPU seconds, beside what the artifact takes.

Knows the command line and the clock; does not know how a dataset is made. The artifact's figures
were measured once, on a machine of this kind: 250 samples, GPT-NeoX tokenizer.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from types import MappingProxyType

from needlework import tokenizers
from needlework.errors import ResourceError
from needlework.files import write_text

TASKS = (
    *("niah_single_1", "niah_single_2", "niah_single_3"),
    *("niah_multikey_1", "niah_multikey_2", "niah_multikey_3"),
    *("niah_multivalue", "niah_multiquery", "vt", "cwe", "fwe", "qa_1", "qa_2"),
)
LENGTHS = (1024, 2048, 4096, 8192, 16384)
DEPTH_TASKS = tuple(
    f"niah_{form}_{depth}"
    for form in ("essay_numbers", "essay_uuids", "repeat_numbers")
    for depth in (0, 20, 40, 50, 60, 80, 100)
)
DEPTH_LENGTHS = (1024, 2048, 4096)
ARTIFACT: Mapping[tuple[str, int], float] = MappingProxyType(
    {
        ("niah_single_2", 1024): 8.2,
        ("niah_single_2", 4096): 9.8,
        ("niah_single_2", 16384): 21.0,
        ("niah_single_1", 16384): 12.2,
        ("niah_multikey_3", 16384): 13.0,
        ("vt", 16384): 13.9,
        ("cwe", 16384): 21.2,
        ("fwe", 16384): 11.7,
    }
)
"""CPU seconds of the artifact's own process."""
_LONGEST = LENGTHS[-1]
_QUESTIONS = MappingProxyType({"qa_1": "squad", "qa_2": "hotpotqa"})


@dataclass(frozen=True)
class Cost:
    """What one process took."""

    task: str
    length: int
    cpu: float
    """Seconds of user and system time, all threads."""
    wall: float
    megabytes: float
    """The most memory it held."""


@dataclass(frozen=True)
class Plain:
    """What it takes to tokenize the finished prompts of a dataset, all cores."""

    cpu: float
    wall: float


def measure(
    tokenizer: str, resources: Path, *, questions: Path | None, samples: int
) -> Iterator[tuple[Cost, Plain | None]]:
    """Every dataset of the paper for one tokenizer, each in a process of its own.

    `questions` is a folder with `squad.json` and `hotpotqa.json`; without it there is no qa.

    Raises:
        ResourceError: a dataset could not be made.
    """
    wanted = [(task, length) for length in LENGTHS for task in TASKS]
    wanted += [(task, length) for length in DEPTH_LENGTHS for task in DEPTH_TASKS]
    with tempfile.TemporaryDirectory() as folder:
        for task, length in wanted:
            if task in _QUESTIONS and questions is None:
                continue
            output = Path(folder) / f"{task}.jsonl"
            options = ["--tokenizer", tokenizer, "--resources", str(resources)]
            if task in _QUESTIONS:
                options += ["--questions", f"{questions}/{_QUESTIONS[task]}.json"]
            cost = _run(task, length, samples, output, options)
            yield cost, _elsewhere(tokenizer, output) if length == _LONGEST else None


def _run(task: str, length: int, samples: int, output: Path, options: Sequence[str]) -> Cost:
    """Make one dataset as a user would, and ask the system what that took."""
    command = [sys.executable, "-c", "from needlework.cli import main; main()", "dataset"]
    command += ["--protocol", "released", "--task", task, "--length", str(length), "--seed", "42"]
    command += ["--samples", str(samples), "--output", str(output), *options]
    start = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ResourceError(f"{task} at {length} could not be made; see the line above")
    wall = time.perf_counter() - start
    return Cost(task, length, used.ru_utime + used.ru_stime, wall, used.ru_maxrss / 1024)


def _elsewhere(tokenizer: str, dataset: Path) -> Plain:
    """The same as `_tokenize`, in a process of its own: children inherit their parent's memory."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_tokenize, tokenizer, dataset).result()


def _tokenize(tokenizer: str, dataset: Path) -> Plain:
    """Tokenize the prompts of a dataset once, in parallel batches."""
    prompts = [json.loads(line)["input"] for line in dataset.open(encoding="ascii")]
    loaded = tokenizers.load(tokenizer)
    cpu, wall = time.process_time(), time.perf_counter()
    loaded.encode_batch(prompts)
    return Plain(time.process_time() - cpu, time.perf_counter() - wall)


def table(rows: Sequence[tuple[Cost, Plain | None]]) -> str:
    """The measurements as Markdown, the artifact's figures beside ours."""
    lines = [
        "| task | length | artifact, CPU s | ours, CPU s | faster | ours, wall s | memory, MiB "
        "| plain tokenization, CPU s | wall s |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for cost, plain in rows:
        theirs = ARTIFACT.get((cost.task, cost.length))
        artifact = "-" if theirs is None else f"{theirs:.1f}"
        faster = "-" if theirs is None else f"{theirs / cost.cpu:.0f}x"
        tokenized = "- | -" if plain is None else f"{plain.cpu:.2f} | {plain.wall:.2f}"
        lines.append(
            f"| {cost.task} | {cost.length} | {artifact} | {cost.cpu:.2f} | {faster} "
            f"| {cost.wall:.2f} | {cost.megabytes:.0f} | {tokenized} |"
        )
    return "\n".join(lines)


def summary(rows: Sequence[tuple[Cost, Plain | None]]) -> str:
    """All datasets together, in words."""
    costs = [cost for cost, _ in rows]
    cpu = sum(cost.cpu for cost in costs)
    least = sum(filter(None, (_at_least(cost) for cost in costs)))
    return (
        f"{len(costs)} datasets: {cpu:.1f} CPU s, {sum(cost.wall for cost in costs):.1f} s one "
        f"after the other, at most {max(cost.megabytes for cost in costs):.0f} MiB. The artifact "
        f"takes at least {least:.0f} CPU s ({least / cpu:.1f}x): a dataset counts with its own "
        "figure or, where there is none, a needle task with that of the cheapest measured one of "
        "no greater length, and any other not at all."
    )


def _at_least(cost: Cost) -> float | None:
    """What the artifact takes for a dataset, at least; None where nothing is known."""
    if (cost.task, cost.length) in ARTIFACT or not cost.task.startswith("niah"):
        return ARTIFACT.get((cost.task, cost.length))
    measured = [key for key in ARTIFACT if key[0].startswith("niah") and key[1] <= cost.length]
    nearest = max(length for _, length in measured)
    return min(ARTIFACT[key] for key in measured if key[1] == nearest)


def write(rows: Sequence[tuple[Cost, Plain | None]], output: Path) -> None:
    """Write summary and table."""
    write_text(output, f"{summary(rows)}\n\n{table(rows)}\n")
