"""A hazard study plans its variants and its own pages, and none of the tables."""

from pathlib import Path

import pytest
import yaml

from needlework.study import plan
from needlework.study.selection import problem
from tests.workflow.conftest import MODELS, copy_project, give_weights, planned

CONFIG = Path(__file__).parents[2] / "config"


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """What a plain run of a small hazard study would start."""
    folder = copy_project(tmp_path_factory.mktemp("hazards"))
    for model in MODELS:
        give_weights(folder, model)
    path = folder / "config/hazards.yaml"
    study = yaml.safe_load(path.read_text(encoding="utf-8"))
    study["models"] = list(MODELS)
    study["suites"] = {"ruler": {"lengths": [256]}, "depth": {"lengths": [256, 512]}}
    path.write_text(yaml.safe_dump(study), encoding="utf-8")
    return planned(folder, "--configfile", "config/hazards.yaml")


def test_every_variant_is_predicted_and_scored(jobs: dict[str, int]) -> None:
    """Mamba2 on RULER: corrected and sampled; on depth: also numbers for UUIDs, and both. Llama on
    depth alone: corrected and numbers for UUIDs; mixed formats need no cell."""
    assert jobs["predict"] == jobs["score"] == 2 * 1 + (4 + 2) * 2


def test_defective_samples_are_made_beside_the_right_ones(jobs: dict[str, int]) -> None:
    assert jobs["dataset"] == 13 + 2 * 2 * 21


def test_a_plain_run_makes_the_page_of_the_study(jobs: dict[str, int]) -> None:
    assert jobs["hazards"] == jobs["explorer"] == jobs["collect"] == 1
    assert not jobs.keys() & {"table", "figure", "claims", "findings", "summary"}


def test_the_study_of_the_paper_has_every_variant() -> None:
    study = yaml.safe_load((CONFIG / "paper-hazards.yaml").read_text(encoding="utf-8"))
    runs = plan.resolve(study, CONFIG).models
    assert "mamba2attn+m2a-conv-state" in runs
    assert "recurrentgemma-it+rg-window" in runs
    assert runs["transformerpp+all-defects"].hazards == ("mamba-sampling", "uuid-numbers")


def test_no_table_asks_for_cells_that_a_variant_does_not_have() -> None:
    """One model, one length: the explorer once ended at a variant that answers depth alone."""
    study = yaml.safe_load((CONFIG / "hazards.yaml").read_text(encoding="utf-8"))
    study["models"] = ["nano-mamba2"]
    study["suites"] = {"ruler": {"lengths": [128]}, "depth": {"lengths": [128]}}
    found = plan.resolve(study, CONFIG)
    assert found.grid().without
    for table in found.shows.tables:
        assert problem(table, found.grid(), found.shown()) is None
