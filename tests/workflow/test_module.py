"""This workflow inside another one, as `module` imports it and as the catalogue's users do."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import ROOT, planned, small_study

IMPORTING = """
configfile: "config/config.yaml"


module needlework:
    snakefile:
        "{snakefile}"
    config:
        config


use rule * from needlework as needlework_*


rule all:
    default_target: True
    input:
        rules.needlework_table_all.input,
"""
CATALOG_KEYS = {"mandatory-flags", "software-stack-deployment", "report"}
DEPLOYMENT_KEYS = {"conda", "apptainer", "singularity", "apptainer+conda", "singularity+conda"}


@pytest.fixture
def importing(made: Path, tmp_path: Path) -> Path:
    """A workflow that imports ours, with its own configuration and our resources."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    small_study(tmp_path / "config/config.yaml")
    for name in ("resources", "src"):
        (tmp_path / name).symlink_to(made / name)
    (tmp_path / "workflow").mkdir()
    text = IMPORTING.format(snakefile=made / "workflow/Snakefile")
    (tmp_path / "workflow/Snakefile").write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture(scope="module")
def ours(made: Path) -> dict[str, int]:
    """The jobs of a run that makes everything."""
    return planned(made, "--forceall")


def test_another_workflow_plans_the_same_jobs(ours: dict[str, int], importing: Path) -> None:
    theirs = planned(importing)
    named = {name.removeprefix("needlework_"): jobs for name, jobs in theirs.items()}
    assert {name for name in theirs if not name.startswith("needlework_")} == set()
    assert named == {name: jobs for name, jobs in ours.items() if name != "table_all"}


def test_both_entry_points_plan_the_same(ours: dict[str, int], made: Path) -> None:
    inner = planned(made, "--forceall", "--snakefile", "workflow/Snakefile")
    assert {k: v for k, v in inner.items() if k != "table_all"} == {
        k: v for k, v in ours.items() if k != "table_all"
    }


def test_the_catalogue_finds_what_it_asks_for() -> None:
    """workflow/Snakefile, config/README.md, a usage file of keys it knows, and a licence."""
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8"))
    assert set(usage) == {"usage"}
    assert set(usage["usage"]) <= CATALOG_KEYS
    assert set(usage["usage"]["mandatory-flags"]) == {"desc", "flags"}
    assert set(usage["usage"]["software-stack-deployment"]) <= DEPLOYMENT_KEYS
    assert all(
        isinstance(value, bool) for value in usage["usage"]["software-stack-deployment"].values()
    )
    for path in ("workflow/Snakefile", "config/README.md", "README.md", "LICENSE"):
        assert (ROOT / path).is_file()
