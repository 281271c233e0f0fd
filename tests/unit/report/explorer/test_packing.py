"""Packing: blocks give back what the files hold, and files that do not fit together are named."""

import base64
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from needlework.errors import RecordError
from needlework.report.explorer.packing import Block, blocks
from needlework.study import ShownModel
from tests.whole_study_for_tests import make_study

PROMPTS = "nano-base"
Study = tuple[Path, list[ShownModel]]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    plan = make_study(tmp_path, samples=4, models=("nano-mamba2", "nano-llama"))
    return tmp_path / "nano", plan.shown()


def unpacked(block: Block) -> Any:
    """The way back, as a browser goes it."""
    return json.loads(zlib.decompress(base64.b64decode(block.packed()), wbits=-15))


def test_every_score_comes_back(study: Study) -> None:
    found = {block.key: unpacked(block) for block in blocks(*study)}
    scores = pl.read_parquet(study[0] / "scores.parquet")
    for (model, suite, length, task), rows in scores.group_by("model", "suite", "length", "task"):
        packed = found[f"answers/{model}/{suite}/{length}/{task}"]
        wanted = rows.sort("index")["score"]
        assert packed["score"] == [None if score is None else round(score, 4) for score in wanted]
        assert packed["index"] == list(range(4))


def test_datasets_are_stored_once_for_all_models(study: Study) -> None:
    keys = [block.key for block in blocks(*study)]
    assert len(keys) == len(set(keys))
    assert f"data/{PROMPTS}/256/vt" in keys


def test_the_index_comes_first(study: Study) -> None:
    first = next(blocks(*study))
    assert first.key == "index"
    assert [table["number"] for table in first.content["tables"]] == [1, 2, 3, 4, *range(6, 19)]
    assert first.content["notes"] == []


def test_every_number_opens_cells_that_exist(study: Study) -> None:
    index = next(blocks(*study)).content
    cells = [
        f"{model}/{suite}/{length}/{task}" for model, suite, length, task, *_ in index["cells"]
    ]
    for table in index["tables"]:
        for row in table["rows"]:
            for *_, address in row["cells"]:
                assert any(cell.startswith(address.split("?")[0]) for cell in cells), address


def test_an_incomplete_study_shows_what_it_has_and_says_what_is_missing(study: Study) -> None:
    path = study[0] / "cells.parquet"
    cells = pl.read_parquet(path)
    cells.filter(~((pl.col("task") == "vt") & (pl.col("length") == 512))).write_parquet(path)
    index = next(blocks(*study)).content
    assert {table["number"] for table in index["tables"]}.isdisjoint({1, 14})
    assert any(note.startswith("Table 14 is not complete") for note in index["notes"])


def without_a_prediction(folder: Path) -> None:
    path = folder / "predictions/nano-llama/ruler/256.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))


def without_a_sample(folder: Path) -> None:
    for suffix in (".jsonl", ".details.jsonl"):
        path = folder / f"data/{PROMPTS}/256/vt{suffix}"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


def details_of_others(folder: Path) -> None:
    path = folder / f"data/{PROMPTS}/256/vt.details.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


def a_sample_twice(folder: Path) -> None:
    path = folder / "scores.parquet"
    scores = pl.read_parquet(path)
    pl.concat([scores, scores.head(1)]).write_parquet(path)


def another_studys_model(folder: Path) -> None:
    path = folder / "scores.parquet"
    scores = pl.read_parquet(path)
    scores.with_columns(model=pl.lit("stranger")).write_parquet(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without_a_prediction, "no prediction or sample for #0"),
        (without_a_sample, "no prediction or sample for #3"),
        (details_of_others, "samples and details differ"),
        (a_sample_twice, "a sample twice"),
        (another_studys_model, "scores of stranger"),
    ],
)
def test_files_that_do_not_fit_are_named(
    study: Study, damage: Callable[[Path], None], message: str
) -> None:
    damage(study[0])
    with pytest.raises(RecordError, match=message):
        list(blocks(*study))
