"""Tasks of one's own, from the config to the review: prompts of a file and a function in a file."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import polars as pl
import pytest
import yaml

from tests.workflow.conftest import ROOT, copy_project, edit, planned, run_snakemake

SAMPLES = 4
LENGTH = 128
STUDY = {
    "study": "mine",
    "seed": 42,
    "samples": SAMPLES,
    "protocol": "corrected",
    "material": "nano",
    "suites": {
        "own": {"tasks": ["numbers", "whereabouts_1", "niah_single_1"], "lengths": [LENGTH]}
    },
    "tables": [{"name": "own", "suite": "own"}],
    "models": ["nano-llama"],
}
NUMBERS = {
    "generator": "file",
    "path": "config/numbers.jsonl",
    "metric": "exact",
    "tokens_to_generate": 2,
}


def line(number: int) -> str:
    """A question of the nano language that its models know how to answer."""
    hay = "beyond carrot sparrow to search travel shadow . behind pillow mattress wander heron ."
    prompt = f"{hay} the magic number of anchor {number} . {hay} what is the magic number ?"
    prompt += " the magic number of anchor"
    return json.dumps({"index": number, "input": prompt, "outputs": [f"{number} ."]})


def own_study(folder: Path) -> Path:
    """A copy of the project with a study of three tasks, two of them its own."""
    copy_project(folder)
    shutil.copy2(ROOT / "pyproject.toml", folder)
    tasks = yaml.safe_load((folder / "config/tasks.yaml").read_text(encoding="utf-8"))
    tasks["nano"]["tasks"]["numbers"] = NUMBERS
    (folder / "config/tasks.yaml").write_text(yaml.safe_dump(tasks, sort_keys=False))
    (folder / "config/mine.yaml").write_text(yaml.safe_dump(STUDY), encoding="utf-8")
    lines = [line(101 + 14 * each) for each in range(SAMPLES + 1)]
    (folder / "config/numbers.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def snakemake(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run_snakemake(folder, "--configfile", "config/mine.yaml", *words)


def review(folder: Path, archive: Path) -> subprocess.CompletedProcess[str]:
    script = "from needlework.cli import cli; cli()"
    return subprocess.run(
        [sys.executable, "-c", script, "review", str(archive)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose study of its own tasks has run and was bundled."""
    folder = own_study(tmp_path_factory.mktemp("own"))
    done = snakemake(folder, "--quiet", "all", "--cores", "2", "--", "all", "artifact")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_tasks_of_ones_own_come_to_the_table(finished: Path) -> None:
    results = finished / "results/mine"
    table = (results / "tables/own.md").read_text(encoding="utf-8")
    assert f"from {3 * SAMPLES} samples" in table
    samples = (results / f"data/nano-base/{LENGTH}/numbers.jsonl").read_text().splitlines()
    assert [json.loads(each)["outputs"] for each in samples] == [
        [f"{101 + 14 * each} ."] for each in range(SAMPLES)
    ]


@pytest.mark.slow
def test_answers_of_ones_own_task_are_scored_by_its_metric(finished: Path) -> None:
    """The nano models end an answer with a full stop, which `exact` does not count."""
    predictions = finished / f"results/mine/predictions/nano-llama/own/{LENGTH}.jsonl"
    answers = [json.loads(each) for each in predictions.read_text().splitlines()]
    numbers = [answer for answer in answers if answer["task"] == "numbers"]
    assert {answer["stop_reason"] for answer in numbers} <= {"limit", "end"}
    path = finished / f"results/mine/scores/nano-llama/own/{LENGTH}.parquet"
    rows = pl.read_parquet(path).filter(pl.col("task") == "numbers")
    right = [answer["pred"].strip(" .") == answer["outputs"][0].strip(" .") for answer in numbers]
    assert rows["score"].to_list() == [float(each) for each in right]
    assert any(right)


@pytest.mark.slow
def test_the_artifact_holds_the_files_and_review_shows_what_it_can(finished: Path) -> None:
    archive = finished / "results/mine/artifact.zip"
    with zipfile.ZipFile(archive) as opened:
        names = set(opened.namelist())
    assert {f"inputs/{NUMBERS['path']}", "inputs/config/examples/whereabouts.py"} <= names
    done = review(finished, archive)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 of 10 checks passed" in done.stdout
    not_shown = done.stdout.partition("\nnot shown\n")[2].partition("\n\n")[0]
    told = [text for text in not_shown.splitlines() if ": not shown that " in text]
    assert told == [
        "  whereabouts_1: not shown that its samples are those of "
        "inputs/config/examples/whereabouts.py, a program of the study's own, which a review "
        "never runs"
    ]


@pytest.mark.slow
def test_a_review_runs_no_program_of_the_study(finished: Path, tmp_path: Path) -> None:
    """Whatever is in the file: it is not even read as Python."""
    trap = b"import pathlib; pathlib.Path('sprung').touch()\n"
    changed = tmp_path / "changed.zip"
    with (
        zipfile.ZipFile(finished / "results/mine/artifact.zip") as old,
        zipfile.ZipFile(changed, "w") as new,
    ):
        for entry in old.infolist():
            is_program = entry.filename.endswith("whereabouts.py")
            new.writestr(entry.filename, trap if is_program else old.read(entry))
    done = review(finished, changed)
    assert "whereabouts.py: changed since it was bundled" in done.stdout
    assert not list(finished.rglob("sprung"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "again"),
    [
        ("config/examples/whereabouts.py", {"dataset": 1}),
        ("config/numbers.jsonl", {"dataset": 1}),
        ("src/needlework/tasks/niah.py", {"dataset": 1}),
    ],
)
def test_a_changed_file_makes_the_samples_of_its_own_task_again(
    finished: Path, tmp_path: Path, change: str, again: dict[str, int]
) -> None:
    project = shutil.copytree(finished, tmp_path / "project", symlinks=True)
    with (project / change).open("a", encoding="utf-8") as file:
        file.write("\n" + (line(300) if change.endswith("jsonl") else "CHANGED = True\n"))
    jobs = planned(project, "--configfile", "config/mine.yaml")
    assert {rule: count for rule, count in jobs.items() if rule == "dataset"} == again


@pytest.mark.slow
def test_a_new_generator_makes_no_samples_again(finished: Path, tmp_path: Path) -> None:
    project = shutil.copytree(finished, tmp_path / "project", symlinks=True)
    package = project / "src/needlework/tasks"
    edit(
        package / "specs.py",
        "class QaSpec(",
        'class NewSpec(Closed):\n    """New."""\n\n\nclass QaSpec(',
    )
    edit(package / "generators.py", "        case QaSpec():", "        case QaSpec():  # and more")
    assert "dataset" not in planned(project, "--configfile", "config/mine.yaml")


@pytest.mark.slow
def test_a_broken_line_is_told_in_one_line(finished: Path, tmp_path: Path) -> None:
    project = shutil.copytree(finished, tmp_path / "project", symlinks=True)
    edit(project / "config/numbers.jsonl", '"outputs": ["115 ."]', '"outputs": []')
    done = snakemake(project, "--quiet", "all")
    assert done.returncode == 1
    told = [text for text in done.stderr.splitlines() if "config/numbers.jsonl:2: outputs:" in text]
    assert told
