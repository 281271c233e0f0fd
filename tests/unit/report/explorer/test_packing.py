"""Packing: blocks give back what the files hold, and files that do not fit together are named."""

import base64
import json
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import polars as pl
import pytest
from pydantic_core import to_json

from needlework.errors import RecordError
from needlework.files import write_text
from needlework.parsing import parse, read
from needlework.report.explorer.packing import Block, blocks
from needlework.report.notes import read_verified
from needlework.report.tables import read_measured, write_table
from needlework.study.definitions import TableDefinition
from needlework.study.grid import Grid
from needlework.study.plan import Plan
from needlework.study.presentation import Shown
from tests.study_for_tests import table_of
from tests.unit.report.test_tables import UNCOMPARED, proof
from tests.whole_study_for_tests import make_study

PROMPTS = "nano-base"
TEMPLATES = Path(__file__).parents[4] / "reports/templates"
ADDRESS = ("model", "suite", "length", "task")


class Study(NamedTuple):
    """A study's folder, and what it was made from."""

    folder: Path
    plan: Plan

    def blocks(self) -> Iterator[Block]:
        models, shown = self.plan.shown(), self.plan.shows
        return blocks(self.folder, grid=self.plan.grid(), models=models, shown=shown)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    plan = make_study(tmp_path, samples=4, models=("nano-mamba2", "nano-llama"))
    return Study(tmp_path / "nano", plan)


def unpacked(block: Block) -> Any:
    """The way back, as a browser goes it."""
    return json.loads(zlib.decompress(base64.b64decode(block.packed()), wbits=-15))


def test_every_score_comes_back(study: Study) -> None:
    found = {block.key: unpacked(block) for block in study.blocks()}
    scores = pl.read_parquet(study.folder / "scores.parquet")
    for (model, suite, length, task), rows in scores.group_by("model", "suite", "length", "task"):
        packed = found[f"answers/{model}/{suite}/{length}/{task}"]
        wanted = rows.sort("index")["score"]
        assert packed["score"] == wanted.to_list()
        assert packed["index"] == list(range(4))


def test_datasets_are_stored_once_for_all_models(study: Study) -> None:
    keys = [block.key for block in study.blocks()]
    assert len(keys) == len(set(keys))
    assert f"data/{PROMPTS}/256/vt" in keys


def test_the_index_comes_first(study: Study) -> None:
    first = next(study.blocks())
    assert first.key == "index"
    names = [table["name"] for table in first.content["tables"]]
    assert names == list(map(str, [1, 2, 3, 4, *range(6, 19)]))


def behind(index: dict[str, Any], address: str) -> list[float]:
    """The scores of the cells that an address lists, as the page looks them up."""
    path, _, query = address.partition("?")
    wanted = dict(zip(ADDRESS, path.split("/"), strict=False)) | dict(parse_qsl(query))
    several = {"tasks": "task", "lengths": "length"}
    wanted = {several.get(name, name): value for name, value in wanted.items()}
    names = (*ADDRESS, "format", "depth", "mean")
    cells = [dict(zip(names, cell, strict=False)) for cell in index["cells"]]
    return [
        cell["mean"]
        for cell in cells
        if all(str(cell[name]) in value.split(",") for name, value in wanted.items())
    ]


def test_every_number_is_the_mean_of_the_cells_that_it_opens(study: Study) -> None:
    """The average of one task once opened the cells of all tasks, whose mean is another."""
    index = unpacked(next(study.blocks()))
    for table in index["tables"]:
        for row in table["rows"]:
            for text, *_, address in row["cells"]:
                means = behind(index, address)
                assert float(text) == pytest.approx(100 * fmean(means), abs=0.006), address


def test_the_average_of_a_task_opens_that_task_alone(study: Study) -> None:
    tables = {table["name"]: table for table in next(study.blocks()).content["tables"]}
    last = {number: tables[str(number)]["rows"][0]["cells"][-1][-1] for number in (1, 2, 7)}
    assert last == {
        1: "nano-mamba2/ruler",
        2: "nano-mamba2/depth/256",
        7: "nano-mamba2/ruler?task=niah_single_2",
    }


def test_cells_are_not_rounded_before_they_are_shown(study: Study) -> None:
    """Rounded to five digits first, 13 of 2,304 scores once showed another last digit."""
    cells = unpacked(next(study.blocks()))["cells"]
    wanted = pl.read_parquet(study.folder / "estimates.parquet").select("mean", "low", "high")
    assert [tuple(cell[6:9]) for cell in cells] == wanted.rows()


def verify(folder: Path, model: str, **changed: object) -> None:
    write_text(folder / f"verified/{model}.json", to_json(proof(model, **changed)).decode())


def test_tables_carry_the_digits_signs_and_remarks_of_the_printed_ones(
    study: Study, tmp_path: Path
) -> None:
    folder, plan = study
    verify(folder, "nano-mamba2")
    verify(folder, "nano-llama", **UNCOMPARED)
    tables = next(study.blocks()).content["tables"]
    measured = read_measured(
        [folder / "scores.parquet"],
        grid=parse(Grid, read(folder / "plan/grid.json"), where="grid"),
        models=plan.shown(),
        verified=read_verified(sorted((folder / "verified").glob("*.json"))),
    )
    for table in tables:
        definition = table_of(plan, table["name"])
        write_table(definition, tmp_path / "table", measured, templates=TEMPLATES)
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
    verify(tmp_path / "nano", "nano-llama+bos")
    table = next(Study(tmp_path / "nano", plan).blocks()).content["tables"][0]
    assert table["rows"][0]["heads"] == ["Llama"]


def test_an_incomplete_study_shows_gaps_and_says_what_is_missing(study: Study) -> None:
    path = study.folder / "estimates.parquet"
    cells = pl.read_parquet(path)
    cells.filter(~((pl.col("suite") == "ruler") & (pl.col("length") == 512))).write_parquet(path)
    index = next(study.blocks()).content
    (table,) = (table for table in index["tables"] if table["name"] == "14")
    assert [cell[0] for cell in table["rows"][0]["cells"]][-2:] == ["—", "—"]
    assert any("Mamba2, suite ruler, at 512 tokens" in note for note in table["notes"])


def test_a_table_of_some_tasks_and_lengths_opens_those(tmp_path: Path) -> None:
    """What no single filter chooses is listed."""
    plan = make_study(tmp_path, samples=2, models=("nano-llama",))
    keys = {"name": "mine", "suite": "ruler", "tasks": ["vt", "cwe"], "lengths": [128, 256]}
    shown = Shown(tables=(TableDefinition.model_validate(keys),))
    index = next(
        blocks(tmp_path / "nano", grid=plan.grid(), models=plan.shown(), shown=shown)
    ).content
    (first, _, average) = index["tables"][0]["rows"][0]["cells"]
    assert first[-1] == "nano-llama/ruler/128?tasks=vt,cwe"
    assert average[-1] == "nano-llama/ruler?lengths=128,256&tasks=vt,cwe"
    for text, *_, address in (first, average):
        assert float(text) == pytest.approx(100 * fmean(behind(index, address)), abs=0.006)


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
    damage(study.folder)
    with pytest.raises(RecordError, match=message):
        list(study.blocks())
