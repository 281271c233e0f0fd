"""`config/served.yaml` from its first job to its review, with a server that a job starts."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import polars as pl
import pytest

from needlework.report.explorer.packing import packed
from tests.workflow.conftest import ROOT, copy_project

pytestmark = pytest.mark.served
KEY = "sk-the-key-of-a-study-0123456789"
COMMAND = "from needlework.cli import main; main()"
KEYS = """    key: SERVER_KEY
    prices: {input: 1.0, output: 2.0, cached: 0.5}
    budget: 2
"""


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PYTHONPATH": str(folder / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "SERVER_KEY": KEY,
    }
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def finished(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the study and its artifact made."""
    folder = copy_project(tmp_path_factory.mktemp("study"))
    shutil.copy2(ROOT / "pyproject.toml", folder)
    shutil.rmtree(folder / "resources/served", ignore_errors=True)
    shutil.copytree(checkpoint, folder / "resources/served/nano-llama")
    models = folder / "config/models.yaml"
    text = models.read_text(encoding="utf-8")
    models.write_text(
        text.replace("    serve: transf", f"{KEYS}    serve: transf"), encoding="utf-8"
    )
    words = ("-m", "snakemake", "--quiet", "all", "--configfile", "config/served.yaml")
    done = run(folder, *words, "--", "all", "artifact")
    assert done.returncode == 0, done.stderr
    return folder


def scores(folder: Path, model: str, length: int) -> pl.DataFrame:
    path = folder / f"results/served/scores/{model}/retrieval/{length}.parquet"
    return pl.read_parquet(path).select("task", "index", "score")


@pytest.mark.parametrize("length", [256, 512])
def test_scores_are_those_of_our_decoder(finished: Path, length: int) -> None:
    ours, theirs = (scores(finished, name, length) for name in ("nano-llama", "nano-llama-served"))
    assert ours.equals(theirs)
    assert ours.height == 20


def test_table_5_says_what_a_server_hides(finished: Path) -> None:
    text = (finished / "results/served/tables/models.md").read_text(encoding="utf-8")
    (line,) = [line for line in text.splitlines() if "Llama, served" in line]
    assert "after 3 short prompts 16 greedy tokens are those of our decoder" in line
    assert "0 % of 8 samples asked twice were answered otherwise" in line
    assert "prompts as text; temperature 0, seed 0" in line


def test_review_says_what_cannot_be_made_again(finished: Path) -> None:
    done = run(finished, "-c", COMMAND, "review", "results/served/artifact.zip")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "predictions/nano-llama-served: answered by a server" in done.stdout
    assert "cannot be made again from these files" in done.stdout


def test_the_explorer_has_its_answers(finished: Path) -> None:
    lines = (finished / "results/served/explorer.html").read_bytes().split(b"\n")
    blocks = [found.content(at_most=None) for line in lines if (found := packed(line))]
    assert any(b"Llama, served" in block for block in blocks)


def test_no_key_is_on_the_disk(finished: Path, tmp_path: Path) -> None:
    """Nor in what is packed: the artifact, the explorer, scores."""
    with zipfile.ZipFile(finished / "results/served/artifact.zip") as artifact:
        artifact.extractall(tmp_path / "artifact")
    packs = [*finished.rglob("*.html"), *tmp_path.rglob("*.html")]
    for number, path in enumerate(packs):
        blocks = [packed(line) for line in path.read_bytes().split(b"\n")]
        contents = b"\n".join(each.content(at_most=None) for each in blocks if each)
        (tmp_path / f"page{number}").write_bytes(contents)
    for number, path in enumerate([*finished.rglob("*.parquet"), *tmp_path.rglob("*.parquet")]):
        pl.read_parquet(path).write_ndjson(tmp_path / f"rows{number}")
    assert len(packs) >= 2
    assert (finished / ".snakemake").exists()
    assert (finished / "logs/served/served/nano-llama-served.server.txt").exists()
    places = [str(finished), str(tmp_path)]
    found = subprocess.run(["grep", "-rlaF", KEY, *places], capture_output=True, check=False)
    assert found.returncode == 1, found.stdout


def test_what_it_costs_is_said_before_and_after(finished: Path) -> None:
    done = run(finished, "-c", COMMAND, "plan", "--configfile", "config/served.yaml")
    assert done.returncode == 0, done.stderr
    (verdict,) = [line for line in done.stdout.splitlines() if "the budget of 2" in line]
    most = float(verdict.split("at most ")[1].split(";")[0])
    assert verdict.endswith("is enough")
    (ledger,) = (finished / "results/served/served").glob(".*.spent")
    assert 0.5 * most < float(ledger.read_text()) <= most
    logs = (finished / "logs/served/served").glob("*.log")
    assert any("tokens in, 0 of them from the server's cache" in log.read_text() for log in logs)


def test_a_finished_study_has_nothing_to_do(finished: Path) -> None:
    done = run(finished, "-m", "snakemake", "-n", "--configfile", "config/served.yaml", "--", "all")
    assert "Nothing to be done" in done.stdout + done.stderr
