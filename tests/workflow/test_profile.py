"""The profile for SLURM as a fresh clone has it, without any Slurm: dry runs."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import ROOT, edit, planned, run_snakemake

NANO = ("--configfile", "config/config.yaml")


def settings(name: str) -> dict[str, object]:
    text = (ROOT / "profiles" / name / "config.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


@pytest.fixture
def clone(made: Path, tmp_path: Path) -> Path:
    """A copy with the link at its root, and without results."""
    folder = shutil.copytree(made, tmp_path / "clone", ignore=shutil.ignore_patterns("results"))
    (folder / "slurm").symlink_to("profiles/slurm")
    return folder


def test_the_link_that_profile_needs_is_committed() -> None:
    """Snakemake looks for `--profile slurm` in ./slurm, not in ./profiles/slurm."""
    assert (ROOT / "slurm").is_symlink()
    assert (ROOT / "slurm/config.yaml").samefile(ROOT / "profiles/slurm/config.yaml")


def test_shared_keys_have_one_value() -> None:
    """profiles/default overrides --profile key by key, and is skipped beside --workflow-profile."""
    default, slurm = settings("default"), settings("slurm")
    shared = default.keys() & slurm.keys()
    assert shared == default.keys() - {"cores"}
    assert {key: default[key] for key in shared} == {key: slurm[key] for key in shared}


def test_tries_are_a_matter_of_the_profile_alone() -> None:
    """A rule's own retries would be replayed inside one allocation, with the old limits."""
    rules = [path.read_text() for path in (ROOT / "workflow").rglob("*.smk")]
    assert not any("retries:" in text for text in rules)
    assert settings("slurm")["retries"]


def test_both_ways_to_name_it_plan_the_same(clone: Path) -> None:
    plain = planned(clone)
    for words in (("--profile", "slurm"), ("--workflow-profile", "slurm")):
        assert planned(clone, *words, *NANO) == plain


def test_it_takes_the_study_of_the_paper(clone: Path) -> None:
    assert planned(clone, "--profile", "slurm")["predict"] == 8 * (5 + 5)


def test_a_mistake_in_the_cluster_file_ends_the_run_with_one_line(clone: Path) -> None:
    edit(clone / "config/cluster.yaml", "partition:", "partitions:")
    done = run_snakemake(clone, "-n", "--profile", "slurm")
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("needlework")]
    assert "did you mean `partition`" in line


def test_a_job_asks_for_what_the_file_and_the_cost_model_say(clone: Path) -> None:
    edit(clone / "config/cluster.yaml", "partition:", "partition: a100")
    target = "results/paper/predictions/mamba2/ruler/16384.jsonl"
    said = run_snakemake(clone, "-n", target, "--profile", "slurm", "--quiet", "host").stdout
    (asked,) = [
        line
        for block in said.split("rule predict:")[1:]
        for line in block.splitlines()
        if line.strip().startswith("resources:")
    ]
    for words in ("slurm_partition=a100", "gpu=1", "gpu_model=a100", "constraint=ampere&80gb"):
        assert words in asked
    assert "slurm_account" not in asked
    minutes = int(asked.split("runtime=")[1].split(",")[0])
    memory = int(asked.split("mem_mb=")[1].split(",")[0])
    assert minutes > 30
    assert memory > 8000
