"""Tables as files: Markdown, LaTeX and CSV say the same, and say what failed."""

import csv
from pathlib import Path

import polars as pl
import pytest

from needlework.cells import ADDRESS, CellEstimate
from needlework.errors import StudyError
from needlework.report.rendering import latex, render
from needlework.report.tables import write_models, write_table
from needlework.statistics import Estimate
from tests.study_for_tests import estimates, right, small_plan

PLAN = small_plan()
TEMPLATES = Path(__file__).parents[3] / "reports/templates"


def cells_file(folder: Path, cells: list[CellEstimate]) -> Path:
    path = folder / "cells.parquet"
    rows = [
        {name: getattr(cell, name) for name in ADDRESS} | cell.estimate.model_dump()
        for cell in cells
    ]
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(path)
    return path


def written(folder: Path, number: int, cells: list[CellEstimate] | None = None) -> Path:
    """The stem of a written table."""
    source = cells_file(folder, cells or estimates(PLAN))
    write_table(number, source, folder / "table", models=PLAN.shown(), templates=TEMPLATES)
    return folder / "table"


def better_llama(model: str, task: str, length: int) -> Estimate:
    return right(6 if model == "nano-llama" else 5)


def test_markdown_marks_best_and_training_length(tmp_path: Path) -> None:
    text = written(tmp_path, 6, estimates(PLAN, better_llama)).with_suffix(".md").read_text()
    assert "| Mamba2 | 50.00 | <ins>50.00</ins> | 50.00 |" in text
    assert "| Llama | **60.00** | **<ins>60.00</ins>** | **60.00** |" in text


def test_latex_marks_best_and_training_length(tmp_path: Path) -> None:
    text = written(tmp_path, 6, estimates(PLAN, better_llama)).with_suffix(".tex").read_text()
    assert r"Mamba2 & 50.00 & \underline{50.00} & 50.00 \\" in text
    assert r"Llama & \textbf{60.00} & \textbf{\underline{60.00}} & \textbf{60.00} \\" in text
    assert r"\toprule" in text


def test_latex_spans_the_formats_of_table_4(tmp_path: Path) -> None:
    text = written(tmp_path, 4).with_suffix(".tex").read_text()
    assert r"\multicolumn{3}{c}{essay-word-uuid}" in text


def test_csv_has_a_line_per_number_with_its_interval(tmp_path: Path) -> None:
    with written(tmp_path, 2).with_suffix(".csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 8
    assert {row["depth"] for row in rows} >= {"0", "100", "average"}
    assert all(float(row["low"]) <= float(row["mean"]) <= float(row["high"]) for row in rows)
    assert rows[0]["count"] == "30"


def test_failures_stand_below_the_table(tmp_path: Path) -> None:
    def failing(model: str, task: str, length: int) -> Estimate:
        return (
            right(4, failed=2) if (model, task, length) == ("nano-llama", "vt", 256) else right(5)
        )

    text = written(tmp_path, 14, estimates(PLAN, failing)).with_suffix(".md").read_text()
    assert "Llama: 2 of 20 samples failed and score zero." in text
    assert "| Llama | **50.00** | <ins>40.00</ins> |" in text


def test_a_table_says_what_it_rests_on(tmp_path: Path) -> None:
    text = written(tmp_path, 6).with_suffix(".md").read_text()
    assert "rests on 10 samples" in text


def test_the_same_cells_give_the_same_bytes(tmp_path: Path) -> None:
    first = written(tmp_path, 1).with_suffix(".tex").read_bytes()
    assert written(tmp_path, 1).with_suffix(".tex").read_bytes() == first


def test_table_5_lists_every_model(tmp_path: Path) -> None:
    write_models(tmp_path / "table", models=PLAN.shown(), templates=TEMPLATES)
    text = (tmp_path / "table.md").read_text()
    assert "| Mamba2 | linear | `resources/nano/mamba2` |" in text
    assert "nano-llama" in (tmp_path / "table.csv").read_text()
    assert r"\texttt{resources/nano/llama}" in (tmp_path / "table.tex").read_text()


@pytest.mark.parametrize("number", [0, 5, 19])
def test_a_table_that_is_none_of_scores_is_refused(tmp_path: Path, number: int) -> None:
    with pytest.raises(StudyError, match=f"no table {number} of scores"):
        written(tmp_path, number)


def test_latex_prints_every_character_as_it_is() -> None:
    assert latex("a_b & 5 %") == r"a\_b \& 5 \%"


def test_a_template_with_an_unknown_name_is_named(tmp_path: Path) -> None:
    """A typo in a template must not print an empty cell."""
    template = tmp_path / "broken.md.j2"
    template.write_text("{{ tabel }}", encoding="utf-8")
    with pytest.raises(StudyError, match=r"broken\.md\.j2: 'tabel' is undefined"):
        render(template, table=1)


def test_an_absent_template_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"none\.md\.j2"):
        render(tmp_path / "none.md.j2")


def test_a_table_without_training_lengths_does_not_explain_them(tmp_path: Path) -> None:
    """Table 2 stands at the training length as a whole; nothing in it is underlined."""
    stem = written(tmp_path, 2)
    assert "nderlined" not in stem.with_suffix(".md").read_text()
    assert "underlined" not in stem.with_suffix(".tex").read_text()
