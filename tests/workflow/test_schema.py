"""The schema that editors use is the one the code checks, and every shipped study passes it."""

from pathlib import Path

import pytest
import yaml

from needlework.external import locks
from needlework.external.snapshots import is_hub_id
from needlework.parsing import parse, read
from needlework.study import config, plan

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
    assert committed == config.schema(), "run `needlework schema config/schema.json`"


@pytest.mark.parametrize("name", STUDIES)
def test_a_shipped_study_resolves(name: str) -> None:
    config = yaml.safe_load((CONFIG / name).read_text(encoding="utf-8"))
    assert len(plan.resolve(config, CONFIG).grid().cells()) > 0


def test_commits_stand_in_one_place() -> None:
    """What is on the hub has none in models.yaml, and five of the paper's eight are locked."""
    models = parse(config.Models, read(CONFIG / "models.yaml"), where="models.yaml").models
    assert {model.revision for model in models.values()} == {None}
    on_hub = {each.checkpoint for each in models.values() if is_hub_id(each.checkpoint)}
    locked = locks.load(CONFIG / locks.NAME).repositories.keys()
    assert (len(on_hub), len(locked)) == (8, 5)
    assert locked < on_hub


def test_the_lock_is_as_the_program_writes_it(tmp_path: Path) -> None:
    """A fetch then changes the lines of what it locks, and no others."""
    shipped = locks.load(CONFIG / locks.NAME)
    locks.change(tmp_path / locks.NAME, lambda _: shipped.repositories)
    text = (tmp_path / locks.NAME).read_text(encoding="utf-8")
    assert text == (CONFIG / locks.NAME).read_text(encoding="utf-8")


def test_the_two_papers_differ_only_in_protocol() -> None:
    """So that their difference is the effect of the defects, and of nothing else."""
    released, corrected = (
        yaml.safe_load((CONFIG / name).read_text(encoding="utf-8")) for name in STUDIES[1:3]
    )
    differing = {key for key in released if released[key] != corrected[key]}
    assert differing == {"study", "protocol"}
