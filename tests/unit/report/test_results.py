"""results.json and the model card: every number of a study for programs, and for a hub."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard

from needlework.errors import NeedleworkError, RecordError, StudyError
from needlework.report.card import card
from needlework.report.results import Results, read_results, write_results
from needlework.scores.cells import read_estimates
from needlework.statistics.means import macro_mean
from tests.whole_study_for_tests import make_study

ROOT = Path(__file__).parents[3]
TEMPLATES = ROOT / "reports/templates"
MODELS = ("nano-mamba2", "nano-llama")


def write(folder: Path, output: Path, **changed: Any) -> Path:
    """Write the results of the study in a folder."""
    plan = make_study(folder, samples=3, models=MODELS)
    study = folder / "nano"
    given = {
        "scores": study / "scores.parquet",
        "cells": study / "estimates.parquet",
        "predictions": study / "predictions",
        "grid": plan.grid(),
        "models": plan.shown(),
        "version": "1.2.3",
    }
    write_results(plan.study, output, **(given | changed))
    return output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    write(folder, folder / "results.json")
    return folder


@pytest.fixture
def results(folder: Path) -> Results:
    return read_results(folder / "results.json")


def test_every_estimate_is_there_with_all_it_rests_on(folder: Path, results: Results) -> None:
    wanted = {
        (each.model, each.suite, each.task, each.length): each.estimate
        for each in read_estimates(folder / "nano/estimates.parquet")
    }
    found = {
        (suite.model, suite.suite, task.task, task.length): task.estimate
        for suite in results.suites
        for task in suite.tasks
    }
    assert found == wanted


def test_means_are_those_of_the_tables(results: Results) -> None:
    (suite,) = [each for each in results.of("nano-llama") if each.suite == "ruler"]
    for mean in suite.means:
        parts = [each.estimate for each in suite.tasks if each.length == mean.length]
        assert mean.estimate == macro_mean(parts, independent=True)


def test_a_program_without_the_package_reads_it(folder: Path) -> None:
    content = json.loads((folder / "results.json").read_text())
    assert content["format"] == "needlework-results-1"
    assert content["needlework"] == "1.2.3"
    first = content["suites"][0]
    assert set(first["means"][0]["estimate"]) == {"mean", "low", "high", "count", "failed"}
    assert set(first["above_own_share"]) == {"bar", "length", "low", "high"}


def test_every_cell_says_what_made_it(results: Results) -> None:
    places = [place for made in results.made_by for place in made.cells]
    assert sorted(places) == sorted(
        f"{model}/{suite}/{length}"
        for model in MODELS
        for suite in ("ruler", "depth")
        for length in (128, 256, 512)
    )


def test_the_same_study_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = write(tmp_path, tmp_path / "results.json")
    assert again.read_bytes() == (folder / "results.json").read_bytes()


def test_a_missing_prediction_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"128\.jsonl: No such file .*; ask for it"):
        write(tmp_path, tmp_path / "results.json", predictions=tmp_path / "nowhere")


def test_a_file_that_holds_no_results_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('{"format": "needlework-results-1"}')
    with pytest.raises(NeedleworkError, match=r"results\.json: study: is missing"):
        read_results(tmp_path / "results.json")


def block(text: str) -> list[dict[str, Any]]:
    """The results that a hub reads from a card."""
    (index,) = yaml.safe_load(text.split("---\n")[1])["model-index"]
    return list(index["results"])


def test_the_card_holds_every_mean_once_at_its_length(results: Results) -> None:
    text = card(results, "nano-llama", templates=TEMPLATES)
    found = {
        (each["dataset"]["type"], each["dataset"]["config"]): each["metrics"][0]["value"]
        for each in block(text)
        if each["metrics"][0]["type"] == "accuracy"
    }
    assert found == {
        (f"needlework-{suite.suite}", str(mean.length)): round(100 * mean.estimate.mean, 2)
        for suite in results.of("nano-llama")
        for mean in suite.means
    }
    assert all(len(each["metrics"]) == 1 for each in block(text))


def test_a_hub_reads_the_card(results: Results, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(card(results, "nano-llama", templates=TEMPLATES))
    read = ModelCard.load(tmp_path / "README.md")
    assert read.data.model_name == "Llama"
    assert len(read.data.eval_results) == 8
    assert "## How far it reads" in read.text


def test_the_card_says_what_the_numbers_say(results: Results) -> None:
    text = card(results, "nano-llama", templates=TEMPLATES)
    (suite,) = [each for each in results.of("nano-llama") if each.suite == "ruler"]
    first = suite.means[0].estimate
    assert f"| 128 | {100 * first.mean:.2f} [{100 * first.low:.2f}, " in text
    assert "3 samples per task and length" in text
    assert "\n\n\n" not in text


def test_of_several_models_one_must_be_named(results: Results) -> None:
    with pytest.raises(StudyError, match="several models; name one with --model: nano-mamba2"):
        card(results, None, templates=TEMPLATES)
    with pytest.raises(StudyError, match="did you mean `nano-llama`"):
        card(results, "nano-lama", templates=TEMPLATES)


def test_the_command_prints_or_writes_it(folder: Path, tmp_path: Path) -> None:
    """From a folder without templates: those of the package are taken."""
    words = [sys.executable, "-c", "from needlework.cli import main; main()", "card"]
    words += [str(folder / "results.json"), "--model", "nano-llama"]
    printed = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    subprocess.run([*words, "--output", "CARD.md"], cwd=tmp_path, check=True)
    assert printed.startswith("---\nmodel-index:\n")
    assert (tmp_path / "CARD.md").read_text() == printed
