"""Snakemake's own linter finds nothing to say."""

from pathlib import Path

from tests.workflow.conftest import run_snakemake


def test_the_workflow_is_clean(made: Path) -> None:
    done = run_snakemake(made, "--lint")
    assert done.returncode == 0, done.stdout
