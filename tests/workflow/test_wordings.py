"""A study of wordings plans every model twice, on datasets of its own, and its weights once."""

from pathlib import Path

import pytest
import yaml

from tests.locks_for_tests import lock_all
from tests.workflow.conftest import copy_project, planned


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """What a run of one model in two wordings would start."""
    folder = copy_project(tmp_path_factory.mktemp("wordings"))
    lock_all(folder / "config")
    return planned(folder, "--configfile", write_study(folder, ["ruler", "plain"]))


def write_study(folder: Path, wording: list[str]) -> str:
    study = yaml.safe_load((folder / "config/paper-corrected.yaml").read_text(encoding="utf-8"))
    study["wording"] = wording
    study["models"] = ["transformerpp"]
    study["suites"] = {"ruler": {"lengths": [1024]}, "depth": {"lengths": [2048, 4096]}}
    (folder / "words.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    return "words.yaml"


def test_every_wording_has_cells_and_datasets(jobs: dict[str, int]) -> None:
    assert jobs["predict"] == jobs["score"] == 2 * 3
    assert jobs["dataset"] == 2 * (13 + 2 * 21)


def test_the_weights_are_verified_once(jobs: dict[str, int]) -> None:
    assert jobs["verify_model"] == 1
