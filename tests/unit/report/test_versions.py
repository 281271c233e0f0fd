"""A cell whose answers were computed under two versions of a library: marked, and computed once."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest

from needlework.artifact import review
from needlework.errors import RecordError
from needlework.files import sha256, write_records
from needlework.report.explorer.packing import blocks
from needlework.report.tables import read_measured, write_table
from needlework.scores.cells import collect, score_cell
from needlework.scores.remarks import mixed
from needlework.study.definitions import TableDefinition
from needlework.study.grid import Cell
from needlework.study.presentation import Shown
from tests.study_for_tests import small_plan
from tests.whole_study_for_tests import _predictions, make_study

TEMPLATES = Path("reports/templates")
OLD, NEW = "torch 2.5.1", "torch 2.6.0"
PLAN = small_plan(
    study="nano", samples=3, suites={"ruler": {"tasks": ["vt"], "lengths": [128, 256, 512]}}
)
TABLE = TableDefinition(name="ruler", suite="ruler")
MIXED = Cell("nano-llama", "ruler", 256)


def score(folder: Path, cell: Cell, versions: Mapping[int, str]) -> Path:
    """The score file of a cell; `versions` says what computed the samples of each index."""
    tasks = PLAN.tasks[cell.suite]
    answers = [
        each.model_copy(update={"others": {"libraries": versions.get(each.index, OLD)}})
        for each in _predictions(cell, tasks, samples=3)
    ]
    path = folder / f"{cell.model}/{cell.suite}/{cell.length}.parquet"
    write_records(path.with_suffix(".jsonl"), answers)
    score_cell(path.with_suffix(".jsonl"), path, cell=cell, tasks=tasks, samples=3)
    return path


@pytest.fixture
def scores(tmp_path: Path) -> list[Path]:
    """Six cells, one of which was continued after an update of torch."""
    cells = PLAN.grid().cells()
    return [score(tmp_path, cell, {2: NEW} if cell == MIXED else {}) for cell in cells]


def table(scores: list[Path], suffix: str, folder: Path) -> str:
    measured = read_measured(scores, grid=PLAN.grid(), models=PLAN.shown(), verified=None)
    write_table(TABLE, folder / "table", measured, templates=TEMPLATES)
    return (folder / f"table{suffix}").read_text()


def test_the_cell_is_known_by_its_versions(scores: list[Path]) -> None:
    assert mixed(scores) == {MIXED: [OLD, NEW]}


def test_a_cell_of_one_version_has_the_bytes_it_always_had(tmp_path: Path) -> None:
    """What nobody needs to be told changes no file."""
    cell = Cell("nano-llama", "ruler", 128)
    path = score(tmp_path, cell, {})
    frame = pl.read_parquet(path)
    frame.write_parquet(tmp_path / "plain.parquet")
    assert sha256(path) == sha256(tmp_path / "plain.parquet")


def test_its_number_has_a_mark_and_the_table_a_remark(scores: list[Path], tmp_path: Path) -> None:
    text = table(scores, ".md", tmp_path)
    (row,) = [line for line in text.splitlines() if line.startswith("| Llama")]
    numbers = row.split("|")[2:]
    assert ["§" in number for number in numbers] == [False, True, False, True, False]
    assert (
        f"§ Cells with answers of several versions: Llama, suite ruler, at 256 tokens "
        f"({OLD}; {NEW})."
    ) in text
    assert [line for line in text.splitlines() if "§" in line and "Mamba2" in line] == []


def test_latex_marks_it_as_well(scores: list[Path], tmp_path: Path) -> None:
    text = table(scores, ".tex", tmp_path)
    assert r"\textsuperscript{\S{}}" in text
    assert f"({OLD}; {NEW})" in text


def test_a_table_of_other_cells_says_nothing(scores: list[Path], tmp_path: Path) -> None:
    others = [path for path in scores if MIXED.model not in path.parts]
    assert "§" not in table(others, ".md", tmp_path)


def test_the_rows_of_the_study_keep_what_is_known(scores: list[Path], tmp_path: Path) -> None:
    """The explorer and a review read one file of all cells."""
    found = tmp_path / "scores.parquet"
    collect(PLAN.grid().cells(), tmp_path, scores=found, estimates=tmp_path / "estimates.parquet")
    assert mixed([found]) == {MIXED: [OLD, NEW]}
    assert list(review._mixed(found)) == [
        f"predictions/nano-llama/ruler/256.jsonl: answers of several versions: {OLD}; {NEW}"
    ]
    assert list(review._mixed(tmp_path / "absent.parquet")) == []


def test_the_explorer_shows_the_same_mark(tmp_path: Path) -> None:
    plan = make_study(tmp_path, samples=3, models=("nano-mamba2", "nano-llama"))
    study = tmp_path / "nano"
    frame = pl.read_parquet(study / "scores.parquet")
    told = f'{{"nano-llama/ruler/256": ["{OLD}", "{NEW}"]}}'
    frame.write_parquet(study / "scores.parquet", metadata={"libraries": told})
    shown = Shown(tables=(TABLE,))
    index = next(blocks(study, grid=plan.grid(), models=plan.shown(), shown=shown)).content
    (table,) = index["tables"]
    assert f"({OLD}; {NEW})" in str(table["notes"])
    assert "§" in str(table["rows"][1]["cells"])


@pytest.mark.parametrize("told", ["all of them", '{"a/b": ["1"]}', '{"a/b/c": ["1"]}', "[1]"])
def test_a_file_that_tells_nonsense_is_named(told: str, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pl.DataFrame({"a": [1]}).write_parquet(path, metadata={"libraries": told})
    with pytest.raises(RecordError, match=r"x.parquet is not a table of scores that can be read"):
        mixed([path])
