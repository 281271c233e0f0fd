"""Our scores beside those of lm-evaluation-harness for the same answers, as a table."""

import json
import math
from collections import Counter
from pathlib import Path

from benchmarks.measure import run_python


def compare(folder: Path, harness: Path) -> str:
    """A table of the samples in an exported folder by task, and on how many the scorers differ.

    Raises:
        EngineError: the harness cannot score them; its last line says why.
    """
    printed = run_python(harness, "benchmarks.harness_scores", str(folder.resolve()))
    samples: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for line in printed.splitlines():
        task, _, ours, theirs = json.loads(line)
        samples[task] += 1
        others[task] += not math.isclose(ours, theirs, abs_tol=1e-9)
    rows = [f"| {task} | {count} | {others[task]} |" for task, count in sorted(samples.items())]
    total = f"| all | {sum(samples.values())} | {sum(others.values())} |"
    head = ["| task | samples | scored otherwise by the harness |", "|---|--:|--:|"]
    return "\n".join([*head, *rows, total])
