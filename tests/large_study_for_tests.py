"""A study of 200,000 answers without any model: real datasets, and answers of known skill.

`python -m tests.large_study_for_tests FOLDER` writes the default study with 261 samples a task to
FOLDER/nano, 200,448 answers in all; the times in reports/benchmarks.md are those of its reports.
"""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml
from click.testing import CliRunner
from pydantic_core import to_json

from needlework.cli import cli
from needlework.cost.study import parts
from needlework.files import read_records, write_records, write_text
from needlework.records import PlacedDetail, Prediction, Sample
from needlework.rng import stream
from needlework.study import plan as plans
from needlework.study.grid import Cell
from needlework.study.plan import Plan

SAMPLES = 261
SKILL = {"linear": 0.6, "hybrid": 0.75, "attention": 0.9}


def make_large_study(folder: Path, *, samples: int = SAMPLES) -> Plan:
    """Datasets, predictions, scores and plan of the default study below `folder`/nano."""
    keys = yaml.safe_load(Path("config/config.yaml").read_text(encoding="utf-8"))
    plan = plans.resolve(keys | {"samples": samples}, Path("config"))
    study = folder / "nano"
    for part, content in parts(plan).items():
        write_text(study / "plan" / f"{part}.json", to_json(content).decode() + "\n")
    for made in plan.datasets():
        path = study / "data" / made.prompts / str(made.length) / f"{made.task}.jsonl"
        words = shlex.split(plan.dataset_options(made.prompts, made.task))
        run("dataset", "--output", path, "--task", made.task, "--length", made.length, *words)
    for cell in plan.grid().cells():
        path = study / "predictions" / cell.model / cell.suite / f"{cell.length}.jsonl"
        write_records(path, _answers(plan, study, cell))
        score(study, cell, samples=samples)
    return plan


def score(study: Path, cell: Cell, *, samples: int) -> None:
    """Score one cell by the command that the workflow uses."""
    place = f"{cell.model}/{cell.suite}/{cell.length}"
    arguments = [study / f"predictions/{place}.jsonl", study / f"scores/{place}.parquet"]
    options = ["--model", cell.model, "--suite", cell.suite, "--length", cell.length]
    tasks = study / f"plan/suites/{cell.suite}.json"
    run("score", *arguments, *options, "--samples", samples, "--tasks", tasks)


def run(*words: object) -> None:
    """Run a command that must succeed."""
    done = CliRunner().invoke(cli, list(map(str, words)), catch_exceptions=False)
    assert done.exit_code == 0, done.output


def _answers(plan: Plan, study: Path, cell: Cell) -> Iterator[Prediction]:
    """The references, each with the model's skill, or a stretch of the haystack instead."""
    entry = plan.models[cell.model]
    reach = max(0.0, 1.0 - max(0, cell.length - entry.trained_length) / (4 * entry.trained_length))
    skill = SKILL[entry.family] * reach
    for task in plan.tasks[cell.suite]:
        path = study / "data" / plan.prompts(cell.model) / str(cell.length) / f"{task}.jsonl"
        samples = read_records(path, Sample)
        details = read_records(path.with_suffix(".details.jsonl"), PlacedDetail)
        for sample, detail in zip(samples, details, strict=True):
            draw = stream(2, cell.model, task, cell.length, sample.index)
            place = draw.randrange(max(1, len(sample.input) - 80))
            hay = sample.input[place : place + 60]
            known = [one if draw.random() < skill else hay for one in sample.outputs]
            yield Prediction(
                task=task,
                index=sample.index,
                pred=f" {' . '.join(known)} . ",
                outputs=sample.outputs,
                stop_reason="limit",
                prompt_tokens=detail.prompt_tokens + 1,
                shared_tokens=detail.prompt_tokens // (1 + sample.index % 4),
                generated_tokens=12,
                others={"revision": cell.model, "protocol": "corrected", "device": "none"},
            )


if __name__ == "__main__":
    make_large_study(Path(sys.argv[1]))
