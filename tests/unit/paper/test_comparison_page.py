"""A table beside the published one, through the command that makes it."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic_core import to_json

from needlework.cli import cli
from needlework.cost.study import parts
from needlework.errors import RecordError, StudyError
from needlework.paper.comparison_page import write_comparison
from needlework.paper.evidence import Published, read_models
from needlework.paper.published import read_tables
from needlework.statistics.means import Estimate, wilson
from needlework.study.paper import FORMATS, MODELS
from tests.study_for_tests import estimates, score_tables, small_plan, table_of
from tests.unit.report.test_tables import cells_file

PUBLISHED, TEMPLATES = Path("resources/published"), Path("reports/templates")
NUMBERS_OF = read_tables(PUBLISHED)
PAPER = Published(NUMBERS_OF, samples=250)
SUITES = {
    "ruler": {"lengths": [1024, 2048, 4096, 8192, 16384]},
    "depth": {"lengths": [1024, 2048, 4096, 8192]},
}
PLAN = small_plan(
    study="paper", samples=250, material="english", models=list(MODELS), suites=SUITES
)
SHOWN = {model.name: model for model in PLAN.shown()}


def as_printed(model: str, task: str, length: int) -> Estimate:
    """The score that the paper prints of a RULER task or, by format, of a depth."""
    try:
        if task in PLAN.tasks["ruler"]:
            return PAPER.task(SHOWN[model], task, length)
        depth = int(task.rsplit("_", 1)[1])
        return PAPER.over_formats(SHOWN[model], depth=depth, length=length)
    except RecordError:
        return wilson(0.5, count=250)


def another_vt(model: str, task: str, length: int) -> Estimate:
    if (model, task, length) == ("rwkv6", "vt", 2048):
        return wilson(0.9, count=250)
    return as_printed(model, task, length)


def compared(
    folder: Path, number: int, score: Callable[[str, str, int], Estimate] = as_printed
) -> tuple[str, list[dict[str, str]]]:
    """The page and the rows of a comparison, as the command writes them."""
    cells = cells_file(folder, estimates(PLAN, score))
    for part, content in parts(PLAN).items():
        path = folder / f"{part}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(to_json(content))
    definition = folder / f"comparisons/comparison_{number:02}.json"
    words = [
        "comparison",
        definition,
        PUBLISHED,
        cells,
        folder / "out",
        "--grid",
        folder / "grid.json",
    ]
    words += ["--models", folder / "models.json", "--templates", TEMPLATES]
    CliRunner().invoke(cli, list(map(str, words)), catch_exceptions=False)
    with (folder / "out.csv").open() as file:
        return (folder / "out.md").read_text(), list(csv.DictReader(file))


@pytest.mark.parametrize(
    "number", [int(each.label) for each in score_tables(PLAN) if each.label != "4"]
)
def test_a_study_that_scored_what_is_printed_agrees(tmp_path: Path, number: int) -> None:
    page, rows = compared(tmp_path, number)
    printed = [n for n in NUMBERS_OF if n.table == number and not n.is_average]
    assert [row["published"] for row in rows] == [n.printed for n in printed]
    assert {row["verdict"] for row in rows} == {"inside"}
    assert f"Of {len(rows)} numbers {len(rows)} agree" in page


def test_a_difference_beyond_chance_is_outside(tmp_path: Path) -> None:
    page, rows = compared(tmp_path, 14, another_vt)
    outside = [row for row in rows if row["verdict"] == "outside"]
    assert [(row["model"], row["length"]) for row in outside] == [("rwkv6", "2048")]
    row = outside[0]
    assert (row["ours"], row["published"], row["difference"]) == ("90.00", "47.76", "42.24")
    assert "| RWKV | 2048 | 90.00 [85.7, 93.1] | 47.76 [41.6, 53.9] | 42.24 [" in page


def test_the_intervals_are_those_of_the_count(tmp_path: Path) -> None:
    """Published: 250 samples, as the paper states; ours: as many as the study has."""
    _, rows = compared(tmp_path, 17)
    for row in rows:
        wanted = wilson(float(row["published"]) / 100, count=250)
        assert float(row["published_low"]) == pytest.approx(100 * wanted.low, abs=0.005)
        assert float(row["ours_high"]) == pytest.approx(100 * wanted.high, abs=0.005)
        assert row["count"] == "250"


def test_table_4_is_compared_by_format_and_depth(tmp_path: Path) -> None:
    page, rows = compared(tmp_path, 4)
    assert len(rows) == 3 * 3 * 9
    assert {row["format"] for row in rows} == set(FORMATS)
    assert "| model | length | format | depth | ours | published |" in page


def test_what_the_study_lacks_is_said(tmp_path: Path) -> None:
    fewer = small_plan(
        material="english",
        models=["mamba2"],
        suites={"ruler": {"lengths": [1024]}, "depth": SUITES["depth"]},
    )
    cells = cells_file(tmp_path, estimates(fewer))
    write_comparison(
        table_of(PLAN, 6),
        PUBLISHED,
        cells,
        tmp_path / "out",
        grid=fewer.grid(),
        models=fewer.shown(),
        samples=250,
        templates=TEMPLATES,
    )
    page = (tmp_path / "out.md").read_text()
    assert "no score for 4 more" in page
    assert "| Mamba2 | 2048 | — | 71.6 | — | not measured |" in page


def test_a_table_that_the_paper_does_not_print_of_these_models(tmp_path: Path) -> None:
    """Table 4 shows three models; a study of another one has nothing beside it."""
    evidence = read_models(Path("config/models.yaml"), PAPER)
    rwkv = [model for model in evidence if model.name == "rwkv6"]
    cells = cells_file(tmp_path, [])
    write_comparison(
        table_of(PLAN, 4),
        PUBLISHED,
        cells,
        tmp_path / "out",
        grid=PLAN.grid(),
        models=rwkv,
        samples=250,
        templates=TEMPLATES,
    )
    assert "prints no number of these models" in (tmp_path / "out.md").read_text()
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 1


def test_a_table_of_ones_own_is_refused(tmp_path: Path) -> None:
    own = table_of(PLAN, 6).model_copy(update={"name": "needle"})
    with pytest.raises(StudyError, match="needle is not a table of the paper"):
        write_comparison(
            own,
            PUBLISHED,
            tmp_path / "cells",
            tmp_path / "out",
            grid=PLAN.grid(),
            models=[],
            samples=250,
            templates=TEMPLATES,
        )
