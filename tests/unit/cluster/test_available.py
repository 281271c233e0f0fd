"""Available: a cell counts when its score, its predictions and its model's proof are there."""

from pathlib import Path

import pytest

from needlework.cluster import available
from needlework.study.grid import Cell

CELL = Cell("model", "ruler", 128)
PLACE = "model/ruler/128"
FILES = (f"scores/{PLACE}.parquet", f"predictions/{PLACE}.jsonl", "verified/model.json")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    return tmp_path


def test_a_whole_cell_counts(results: Path) -> None:
    assert available.places(results, [CELL, Cell("model", "depth", 128)], weights_of=str) == [PLACE]


def test_a_control_counts_where_its_model_is_proven(results: Path) -> None:
    """Its weights are those of the model, which is verified once."""
    cell = Cell("model+no-needle", "ruler", 128)
    for name in (f"scores/{cell.place}.parquet", f"predictions/{cell.place}.jsonl"):
        (results / name).parent.mkdir(parents=True)
        (results / name).touch()
    asked = [CELL, cell]
    found = available.places(results, asked, weights_of=lambda run: run.partition("+")[0])
    assert found == [PLACE, cell.place]
    assert available.places(results, asked, weights_of=str) == [PLACE]


@pytest.mark.parametrize("name", FILES)
def test_a_cell_with_a_part_missing_does_not(results: Path, name: str) -> None:
    (results / name).unlink()
    assert available.places(results, [CELL], weights_of=str) == []


def test_a_new_score_is_a_change(results: Path) -> None:
    before = available.changes(results, [PLACE])
    path = results / FILES[0]
    path.unlink()
    path.write_text("new")
    assert available.changes(results, [PLACE]) != before


def test_only_models_with_a_proof_are_listed(results: Path) -> None:
    assert available.verified(results, ["model", "other"]) == [str(results / FILES[2])]
