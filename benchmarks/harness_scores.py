"""The scores of lm-evaluation-harness' own RULER scorer for samples that `needlework export` wrote.

Run as `python -m benchmarks.harness_scores FOLDER` by a Python that has `lm_eval`; prints a line of
JSON for every sample: task, length, our score, its score.
"""

import json
import sys
from pathlib import Path

from lm_eval.tasks.ruler.common_utils import process_results, process_results_part

OF_ANY = "qa_"
"""Tasks of which it takes the best reference, where RULER takes the share of those found."""


def main(folder: Path) -> None:
    """Print both scores of every sample of every model below the folder."""
    for path in sorted(folder.glob("*/samples_*.jsonl")):
        task = path.stem.removeprefix("samples_")
        process = process_results_part if task.startswith(OF_ANY) else process_results
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            length = str(row["doc"]["max_length"])
            theirs = process(row["doc"], row["filtered_resps"])[length]
            (metric,) = row["metrics"]
            sys.stdout.write(json.dumps([task, length, row[metric], theirs]) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
