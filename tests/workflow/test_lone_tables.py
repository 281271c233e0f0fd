"""One table costs one table: what it does not show is not answered, and nothing twice."""

import json
from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import copy_project, run_snakemake

RULER, DEPTH, FORMATS_AND_DEPTHS = 13, 21, 9
"""Tasks of both suites, and those that Table 4 shows."""


def journaled(folder: Path) -> list[str]:
    """The key of every answer that was computed, wherever its journal lies."""
    journals = (folder / "results/nano").rglob("*.jsonl.journal")
    lines = [line for path in journals for line in path.read_text(encoding="utf-8").splitlines()]
    return [json.loads(line)["key"] for line in lines]


def ask(folder: Path, *targets: str) -> list[str]:
    done = run_snakemake(folder, *targets, "--quiet", "all")
    assert done.returncode == 0, done.stderr
    return journaled(folder)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One model, one sample, and no result yet."""
    folder = copy_project(tmp_path_factory.mktemp("lone"))
    path = folder / "config/config.yaml"
    study = yaml.safe_load(path.read_text(encoding="utf-8"))
    study |= {"models": ["nano-llama"], "samples": 1}
    study["suites"] = {"ruler": {"lengths": [128]}, "depth": {"lengths": [256, 512]}}
    path.write_text(yaml.safe_dump(study), encoding="utf-8")
    return folder


@pytest.mark.slow
def test_asking_for_more_answers_only_the_rest(project: Path) -> None:
    """Table 6 shows one task, Table 4 nine at two lengths; a whole study shows everything."""
    table = project / "results/nano/tables/table_06.csv"
    first = ask(project, "table_6")
    lone = table.read_bytes()
    assert len(first) == 1
    assert ask(project, "table_6") == first
    more = ask(project, "table_4")
    assert 1 < len(more) <= 1 + 2 * FORMATS_AND_DEPTHS
    whole = ask(project, "results/nano/estimates.parquet", "results/nano/tables/table_06.md")
    assert len(whole) == len(set(whole)) <= RULER + 2 * DEPTH
    assert set(more) < set(whole)
    assert table.read_bytes() == lone
    assert ask(project, "table_4", "table_6") == whole
