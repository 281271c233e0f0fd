"""Packing: blocks give back what the files hold, and files that do not fit together are named."""

import base64
import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any
from urllib.parse import parse_qsl

import polars as pl
import pytest
from pydantic_core import to_json

from needlework.errors import RecordError
from needlework.files import write_text
from needlework.parsing import parse, read
from needlework.records import Verification
from needlework.report.explorer.packing import Block, blocks
from needlework.report.notes import read_verified
from needlework.report.tables import read_measured, write_table
from needlework.study import Grid, ShownModel
from tests.whole_study_for_tests import make_study

PROMPTS = "nano-base"
TEMPLATES = Path(__file__).parents[4] / "reports/templates"
ADDRESS = ("model", "suite", "length", "task")
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
        assert packed["score"] == wanted.to_list()
        assert packed["index"] == list(range(4))


def test_datasets_are_stored_once_for_all_models(study: Study) -> None:
    keys = [block.key for block in blocks(*study)]
    assert len(keys) == len(set(keys))
    assert f"data/{PROMPTS}/256/vt" in keys


def test_the_index_comes_first(study: Study) -> None:
    first = next(blocks(*study))
    assert first.key == "index"
    assert [table["number"] for table in first.content["tables"]] == [1, 2, 3, 4, *range(6, 19)]
    assert first.content["missing"] == []


def behind(index: dict[str, Any], address: str) -> list[float]:
    """The scores of the cells that an address lists, as the page looks them up."""
    path, _, query = address.partition("?")
    wanted = dict(zip(ADDRESS, path.split("/"), strict=False)) | dict(parse_qsl(query))
    names = (*ADDRESS, "format", "depth", "mean")
    cells = [dict(zip(names, cell, strict=False)) for cell in index["cells"]]
    return [
        cell["mean"]
        for cell in cells
        if all(str(cell[name]) == value for name, value in wanted.items())
    ]


def test_every_number_is_the_mean_of_the_cells_that_it_opens(study: Study) -> None:
    """The average of one task once opened the cells of all tasks, whose mean is another."""
    index = unpacked(next(blocks(*study)))
    for table in index["tables"]:
        for row in table["rows"]:
            for text, *_, address in row["cells"]:
                means = behind(index, address)
                assert float(text) == pytest.approx(100 * fmean(means), abs=0.006), address


def test_the_average_of_a_task_opens_that_task_alone(study: Study) -> None:
    tables = {table["number"]: table for table in next(blocks(*study)).content["tables"]}
    last = {number: tables[number]["rows"][0]["cells"][-1][-1] for number in (1, 2, 7)}
    assert last == {
        1: "nano-mamba2/ruler",
        2: "nano-mamba2/depth/256",
        7: "nano-mamba2/ruler?task=niah_single_2",
    }


def test_cells_are_not_rounded_before_they_are_shown(study: Study) -> None:
    """Rounded to five digits first, 13 of 2,304 scores once showed another last digit."""
    cells = unpacked(next(blocks(*study)))["cells"]
    wanted = pl.read_parquet(study[0] / "cells.parquet").select("mean", "low", "high")
    assert [tuple(cell[6:9]) for cell in cells] == wanted.rows()


def verify(folder: Path, model: str, *, difference: float | None) -> None:
    reason = None if difference is not None else "nothing to compare with"
    one = Verification(
        model=model,
        tensors=1,
        parameters=1,
        reference=None if reason else "transformers",
        tokens=0 if reason else 9,
        largest_difference=difference,
        tolerance=None if reason else 1e-5,
        reason=reason,
    )
    write_text(folder / f"verified/{model}.json", to_json(one).decode())


def test_tables_carry_the_digits_signs_and_remarks_of_the_printed_ones(
    study: Study, tmp_path: Path
) -> None:
    folder, models = study
    verify(folder, "nano-mamba2", difference=0.0)
    verify(folder, "nano-llama", difference=None)
    tables = next(blocks(*study)).content["tables"]
    measured = read_measured(
        folder / "cells.parquet",
        folder / "scores.parquet",
        grid=parse(Grid, read(folder / "plan/grid.json"), where="grid"),
        models=models,
        verified=read_verified(sorted((folder / "verified").glob("*.json"))),
    )
    for table in tables:
        write_table(table["number"], tmp_path / "table", measured, templates=TEMPLATES)
        printed = re.sub(r"\*\*|</?ins>", "", (tmp_path / "table.md").read_text(encoding="utf-8"))
        assert printed.splitlines()[4:] == [
            *(line_of(row) for row in table["rows"]),
            *(line for note in table["notes"] for line in ("", note)),
        ]
    heads = [row["heads"][0] for table in tables for row in table["rows"]]
    assert "Llama‡" in heads
    assert any("†" in line_of(row) for table in tables for row in table["rows"])


def line_of(row: dict[str, Any]) -> str:
    """A row of the index as Markdown, without what sets a number off."""
    numbers = [text + sign for text, _, _, sign, _ in row["cells"]]
    return f"| {' | '.join([*row['heads'], *numbers])} |"


def test_a_variant_has_the_verified_weights_of_its_model(tmp_path: Path) -> None:
    plan = make_study(tmp_path, samples=2, models=("nano-llama",))
    verify(tmp_path / "nano", "nano-llama+bos", difference=0.0)
    table = next(blocks(tmp_path / "nano", plan.shown())).content["tables"][0]
    assert table["rows"][0]["heads"] == ["Llama"]


def test_an_incomplete_study_shows_what_it_has_and_says_what_is_missing(study: Study) -> None:
    path = study[0] / "cells.parquet"
    cells = pl.read_parquet(path)
    cells.filter(~((pl.col("task") == "vt") & (pl.col("length") == 512))).write_parquet(path)
    index = next(blocks(*study)).content
    assert {table["number"] for table in index["tables"]}.isdisjoint({1, 14})
    assert any(note.startswith("Table 14 is not complete") for note in index["missing"])


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
