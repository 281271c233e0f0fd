"""The short report: what was asked, what it cost, and where the rest is."""

from pathlib import Path

import polars as pl
import pytest

from needlework.report.summary import write_report
from needlework.scores.cells import SCORES
from tests.study_for_tests import diagnosis_file, estimates, small_plan, table_of

TEMPLATE = Path(__file__).parents[3] / "reports/templates/report.md.j2"


@pytest.fixture
def text(tmp_path: Path) -> str:
    """The report of a study with four answers, one of them failed, and two tables."""
    row = dict.fromkeys(SCORES) | {
        "prompt_tokens": 100,
        "shared_tokens": 25,
        "generated_tokens": 3,
    }
    study = small_plan()
    row |= {"model": study.shown()[0].name, "suite": "ruler", "task": "vt", "length": 256}
    rows = [
        row | {"index": index, "error": error, "score": None if error else 1.0}
        for index, error in enumerate((None, None, None, "out of memory"))
    ]
    scores = tmp_path / "scores.parquet"
    pl.DataFrame(rows, schema=SCORES).write_parquet(scores)
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/comparison_06.md").write_text("beside it", encoding="utf-8")
    (tmp_path / "tables/table_06.md").write_text("the sixth table", encoding="utf-8")
    compared = {"comparison_06": table_of(study, 6)}
    shows = study.shows.model_copy(update={"comparisons": compared})
    for table in shows.tables:
        if table.quoted:
            path = tmp_path / f"tables/{table.name}.md"
            path.write_text(f"quoted {table.label}", encoding="utf-8")
    write_report(
        study.study,
        shows,
        tmp_path,
        scores=scores,
        diagnosis=diagnosis_file(tmp_path, estimates(study)),
        grid=study.grid(),
        models=study.shown(),
        template=TEMPLATE,
    )
    return (tmp_path / "report.md").read_text(encoding="utf-8")


def test_it_counts_answers_failures_and_tokens(text: str) -> None:
    assert "4 answers, 1 failed. 400 prompt tokens, of which 25.00 %" in text


def test_it_says_what_was_asked(text: str) -> None:
    assert "2 models, 10 samples per task and length, seed 1, protocol `corrected`" in text


def test_it_quotes_the_first_tables_and_links_all(text: str) -> None:
    assert "quoted 1" in text
    assert "the sixth table" not in text
    assert "- 6: [Markdown](tables/table_06.md)" in text
    assert "[CSV](tables/table_06.csv), [ours and published](tables/comparison_06.md)\n" in text
    assert "comparison_01" not in text


def test_it_shows_the_large_figures(text: str) -> None:
    assert "figures/length_curve.svg" in text
    assert "![Score by needle depth and context length](figures/depth_heatmap.svg)" in text
    assert "needle from the question](figures/distance_curve.svg)" in text
    assert "by context length](figures/failure_bars.svg)" in text
