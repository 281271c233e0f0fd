"""The schema that editors use is the one the code checks, and every shipped study passes it."""

from pathlib import Path

import pytest
import yaml

from needlework import plan, study
from needlework.parsing import parse, read

CONFIG = Path(__file__).parents[2] / "config"
STUDIES = (
    "config.yaml",
    "paper.yaml",
    "paper-corrected.yaml",
    "hazards.yaml",
    "paper-hazards.yaml",
)


def test_the_generated_schema_is_in_step() -> None:
    """An editor that knows other keys than the code would be worse than none."""
    committed = (CONFIG / "schema.json").read_text(encoding="utf-8")
    assert committed == study.schema(), "run `needlework schema config/schema.json`"


@pytest.mark.parametrize("name", STUDIES)
def test_a_shipped_study_resolves(name: str) -> None:
    config = yaml.safe_load((CONFIG / name).read_text(encoding="utf-8"))
    assert len(plan.resolve(config, CONFIG).grid().cells()) > 0


def test_every_model_names_a_revision_or_a_folder() -> None:
    """A hub id without a commit is a moving target; `unpinned` says so and is refused when run."""
    models = parse(study.Models, read(CONFIG / "models.yaml"), where="models.yaml").models
    folders = {name: model for name, model in models.items() if model.revision is None}
    assert all(model.checkpoint.startswith("resources/") for model in folders.values())


def test_the_two_papers_differ_only_in_protocol() -> None:
    """So that their difference is the effect of the defects, and of nothing else."""
    released, corrected = (
        yaml.safe_load((CONFIG / name).read_text(encoding="utf-8")) for name in STUDIES[1:3]
    )
    differing = {key for key in released if released[key] != corrected[key]}
    assert differing == {"study", "protocol"}
