"""What a released dataset costs, whole process and CPU seconds, beside what the artifact takes.

The artifact's figures were measured once, on a machine of this kind: 250 samples, GPT-NeoX
tokenizer. Where nobody did, its golden files tell what 20 of the 250 samples took.
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
WORD_LIST = 6.5
"""Seconds in which every needle run of the artifact builds its words. The golden files were made by
one process that built them once, so the seconds of all but the first lack them."""
LONG = MappingProxyType(
    {
        16_384: ("niah_single_1", "niah_single_2", "niah_multikey_3", "vt", "fwe"),
        131_072: ("niah_single_1", "niah_single_2", "niah_multikey_3", "vt", "fwe"),
        1_048_576: ("niah_single_1", "niah_multikey_3", "vt", "fwe"),
    }
)
"""Lengths beyond the paper; the essays end before a million tokens."""
LONG_SAMPLES = 20
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
    tokenizer: str, resources: Path, *, golden: Path | None, samples: int
) -> Iterator[tuple[Cost, Plain | None]]:
    """Every dataset of the paper for one tokenizer, each in a process of its own.

    `golden` is a folder with the artifact's outputs and the questions they were made of; without it
    there is no qa.

    Raises:
        ResourceError: a dataset could not be made.
    """
    wanted = [(task, length) for length in LENGTHS for task in TASKS]
    wanted += [(task, length) for length in DEPTH_LENGTHS for task in DEPTH_TASKS]
    with tempfile.TemporaryDirectory() as folder:
        for task, length in wanted:
            if task in _QUESTIONS and golden is None:
                continue
            output = Path(folder) / f"{task}.jsonl"
            options = ["--tokenizer", tokenizer, "--resources", str(resources)]
            if task in _QUESTIONS:
                options += ["--questions", f"{golden}/qa/{_QUESTIONS[task]}.json"]
            cost = _run(task, length, samples, output, options)
            yield cost, _elsewhere(tokenizer, output) if length == _LONGEST else None


def measure_long(tokenizer: str, resources: Path) -> Iterator[Cost]:
    """A few samples of some tasks at lengths far beyond the paper's.

    Raises:
        ResourceError: a dataset could not be made.
    """
    options = ["--tokenizer", tokenizer, "--resources", str(resources)]
    with tempfile.TemporaryDirectory() as folder:
        for length, tasks in LONG.items():
            for task in tasks:
                yield _run(task, length, LONG_SAMPLES, Path(folder) / "long.jsonl", options)


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


def golden_seconds(golden: Path) -> dict[tuple[str, int], float]:
    """What the artifact took for 20 samples of a task at a length, GPT-NeoX tokenizer."""
    entries = json.loads((golden / "manifest.json").read_text(encoding="utf-8"))
    return {
        (entry["task"], entry["length"]): entry["seconds_in_the_artifact"]
        for entry in entries
        if entry["file"].split("/")[0] == "gpt-neox-20b" and "/extras/" not in entry["file"]
    }


def at_least(task: str, length: int, twenty: Mapping[tuple[str, int], float]) -> float:
    """Seconds that the artifact takes for a dataset: measured, or else a lower bound.

    A bound is what 20 samples took and, for needles, the word list; a needle task takes no less
    than the cheapest one measured at this or the next smaller length.
    """
    if (task, length) in ARTIFACT:
        return ARTIFACT[task, length]
    known = twenty.get((task, length), 0.0)
    if not task.startswith("niah"):
        return known
    measured = [key for key in ARTIFACT if key[0].startswith("niah") and key[1] <= length]
    nearest = max(length for _, length in measured)
    cheapest = min(ARTIFACT[key] for key in measured if key[1] == nearest)
    # The first of the golden files has the word list in its seconds.
    return max(cheapest, known if known > WORD_LIST else known + WORD_LIST)


def summary(
    rows: Sequence[tuple[Cost, Plain | None]], twenty: Mapping[tuple[str, int], float]
) -> str:
    """All datasets together, in words."""
    costs = [cost for cost, _ in rows]
    cpu = sum(cost.cpu for cost in costs)
    least = sum(at_least(cost.task, cost.length, twenty) for cost in costs)
    return (
        f"{len(costs)} datasets: {cpu:.1f} CPU s, {sum(cost.wall for cost in costs):.1f} s one "
        f"after the other, at most {max(cost.megabytes for cost in costs):.0f} MiB. The artifact "
        f"takes at least {least:.0f} s ({least / cpu:.1f}x)."
    )


def table(
    rows: Sequence[tuple[Cost, Plain | None]], twenty: Mapping[tuple[str, int], float]
) -> str:
    """The measurements as Markdown, one line per task over all its lengths (and depths)."""
    groups: dict[str, list[tuple[Cost, Plain | None]]] = {}
    for row in rows:
        name = row[0].task
        shown = f"{name.rpartition('_')[0]}_*" if name in DEPTH_TASKS else name
        groups.setdefault(shown, []).append(row)
    lines = [
        "| task | datasets | artifact, at least, s | ours, CPU s | faster | memory, MiB "
        "| at 16K: ours, wall s | plain tokenization, wall s | artifact, CPU s |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, group in groups.items():
        least = sum(at_least(cost.task, cost.length, twenty) for cost, _ in group)
        cpu = sum(cost.cpu for cost, _ in group)
        longest = next(((cost, plain) for cost, plain in group if plain), None)
        theirs = ARTIFACT.get((name, _LONGEST))
        end = "- | -" if longest is None else f"{longest[0].wall:.2f} | {longest[1].wall:.2f}"
        lines.append(
            f"| {name} | {len(group)} | {least:.0f} | {cpu:.2f} | {least / cpu:.0f}x "
            f"| {max(cost.megabytes for cost, _ in group):.0f} | {end} "
            f"| {'-' if theirs is None else f'{theirs:.1f}'} |"
        )
    return "\n".join(lines)


def long_table(costs: Sequence[Cost]) -> str:
    """CPU seconds and memory of a few samples at every length."""
    tasks = dict.fromkeys(cost.task for cost in costs)
    found = {(cost.task, cost.length): cost for cost in costs}
    lines = [
        "| task | " + " | ".join(f"{length:,}" for length in LONG) + " |",
        "|---|" + "--:|" * len(LONG),
    ]
    for task in tasks:
        cells = []
        for length in LONG:
            cost = found.get((task, length))
            cells.append(f"{cost.cpu:.1f} s, {cost.megabytes:.0f} MiB" if cost else "-")
        lines.append(f"| {task} | {' | '.join(cells)} |")
    return "\n".join(lines)


def write(
    rows: Sequence[tuple[Cost, Plain | None]],
    long: Sequence[Cost],
    output: Path,
    *,
    golden: Path | None,
) -> None:
    """Write summary and tables."""
    twenty = golden_seconds(golden) if golden else {}
    parts = [summary(rows, twenty), table(rows, twenty), long_table(long)]
    write_text(output, "\n\n".join(parts) + "\n")
