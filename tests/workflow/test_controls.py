"""A study with controls plans their cells beside its own, and its table by its name."""

from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import copy_project, planned, run_snakemake

SUITES = {"mine": {"tasks": ["niah_single_2", "cwe"], "lengths": [256, 512]}}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with a study of one model that asks for all controls."""
    folder = copy_project(tmp_path_factory.mktemp("controls"))
    path = folder / "config/config.yaml"
    study = yaml.safe_load(path.read_text(encoding="utf-8"))
    study |= {"models": ["nano-llama"], "suites": SUITES, "tables": "auto", "samples": 2}
    study["controls"] = ["truncated", "no-haystack", "no-needle"]
    path.write_text(yaml.safe_dump(study), encoding="utf-8")
    return folder


def test_controls_have_cells_and_datasets_of_their_own(project: Path) -> None:
    """Two cells of the study; one truncated, one without haystack (of one task), two without
    needle."""
    jobs = planned(project)
    assert jobs["predict"] == jobs["score"] == 2 + 1 + 1 + 2
    assert jobs["dataset"] == 4 + 2 + 1 + 4
    assert jobs["verify_model"] == jobs["compare_controls"] == jobs["control_table"] == 1


def test_their_table_is_a_target(project: Path) -> None:
    jobs = planned(project, "controls")
    assert jobs["predict"] == 6
    assert jobs["control_table"] == 1
    assert "explorer" not in jobs


def test_their_margins_are_a_target_where_likelihoods_are_asked_for(project: Path) -> None:
    path = project / "config/config.yaml"
    plain = path.read_text(encoding="utf-8")
    path.write_text(plain + "likelihood: true\n", encoding="utf-8")
    jobs = planned(project, "control_margins")
    path.write_text(plain, encoding="utf-8")
    assert jobs["predict"] == 6
    assert jobs["control_table"] == 1
    assert "explorer" not in jobs


def test_a_control_is_asked_its_own_tasks_alone(project: Path) -> None:
    place = "nano-llama+no-haystack/mine/512"
    target = f"results/nano/predictions/{place}.jsonl"
    # The profile keeps rules quiet, and with them what they would run.
    done = run_snakemake(project, "-n", "-p", "--quiet", "host", "--", target)
    report = (done.stdout + done.stderr).splitlines()
    (command,) = [line for line in report if "needlework predict" in line]
    assert "data/nano-base+no-haystack/512/niah_single_2.jsonl" in command
    assert "--task=niah_single_2" in command
    assert "cwe" not in command
