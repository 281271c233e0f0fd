"""Ours against published, through the command that shows it."""

import csv
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner
from pydantic_core import to_json

from needlework.cli import cli
from needlework.errors import StudyError
from needlework.paper.agreement_page import write_agreement
from needlework.paper.evidence import Published, read_models
from needlework.paper.published import read_tables
from needlework.report.charts import SUFFIXES
from needlework.statistics.means import wilson
from needlework.study.grid import AskedSuite, Grid
from needlework.study.paper import MODELS, TASKS
from tests.study_for_tests import study_keys

TEMPLATES = Path("reports/templates")


def cells_of(folder: Path, model: str) -> Path:
    """A study of one model at one length that scored 50 % everywhere."""
    rows = [
        {"model": model, "suite": "ruler", "task": task, "length": 2048, "depth": None}
        | {"format": None, **wilson(0.5, count=250).model_dump()}
        for task in TASKS
    ]
    schema = {"depth": pl.Int64, "format": pl.String}
    pl.DataFrame(rows, schema_overrides=schema).write_parquet(folder / "estimates.parquet")
    return folder / "estimates.parquet"


def grid_of(model: str) -> Grid:
    asked = AskedSuite(tasks=[{"name": task, "questions": task} for task in TASKS], lengths=[2048])
    return Grid(models=(model,), suites={"ruler": asked})


def test_all_files_are_written(tmp_path: Path) -> None:
    evidence = Published(read_tables(Path("resources/published")), samples=250)
    shown = read_models(Path("config/models.yaml"), evidence)
    assert {model.name for model in shown} == set(MODELS)
    (tmp_path / "grid.json").write_bytes(to_json(grid_of(shown[0].name)))
    (tmp_path / "models.json").write_bytes(to_json([shown[0].model_dump(exclude={"hazards"})]))
    (tmp_path / "study.json").write_bytes(to_json(study_keys()))
    cells = cells_of(tmp_path, shown[0].name)
    words = ["agreement", "resources/published", cells, tmp_path / "agreement"]
    plan = ("study", "grid", "models")
    options = [word for part in plan for word in (f"--{part}", tmp_path / f"{part}.json")]
    CliRunner().invoke(cli, list(map(str, words + options)), catch_exceptions=False)
    with (tmp_path / "agreement.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1 + len(TASKS)
    assert {row["verdict"] for row in rows} == {"inside", "outside"}
    page = (tmp_path / "agreement.md").read_text()
    assert f"| all | {len(rows)} |" in page
    drawing = (tmp_path / "agreement.svg").read_text()
    assert "outside the combined interval" in drawing
    assert "Study small: each of our numbers is of one checkpoint." in drawing
    assert all((tmp_path / f"agreement{suffix}").stat().st_size > 1000 for suffix in SUFFIXES)


def test_a_study_of_other_models_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="has no number of a model and length of this study"):
        write_agreement(
            Path("resources/published"),
            cells_of(tmp_path, "nano-llama"),
            tmp_path / "agreement",
            study="small",
            grid=grid_of("nano-llama"),
            models=[],
            samples=250,
            templates=TEMPLATES,
        )
