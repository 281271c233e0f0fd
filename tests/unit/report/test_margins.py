"""The table of likelihoods and its pictures."""

import csv
from pathlib import Path

import polars as pl
import pytest

from needlework.errors import RecordError, StudyError
from needlework.report.charts import SUFFIXES
from needlework.report.diagnoses import write_diagnoses
from needlework.report.figures import write_figure
from needlework.report.margins import margin_curve, margin_distance
from needlework.report.summary import write_report
from needlework.scores.diagnoses import LIKELY, read_likelihoods
from needlework.study.plan import Plan
from tests.study_for_tests import diagnosis_file, estimates, figure_of, right, small_plan
from tests.unit.report.test_tables import scores_file

PLAN = small_plan(likelihood=True)
TEMPLATES = Path(__file__).parents[3] / "reports/templates"
NUMBERS = {
    "nats": -pl.col("length") / 128,
    "nats_tokens": pl.lit(2),
    "rank": pl.when(pl.col("index") < 8).then(1).otherwise(2),
    "margin": pl.when(pl.col("index") < 8).then(1024 / pl.col("length")).otherwise(-1.0),
    "chance": pl.lit(0.5),
    "apart": pl.col("index") == 0,
}


def likelihoods(folder: Path, *, samples: int = 10, plan: Plan = PLAN) -> Path:
    """Diagnoses of needles with margins that fall by length; other tasks have no distractor."""
    path = diagnosis_file(folder, estimates(plan, lambda *_: right(samples, of=samples)))
    is_needle = pl.col("task").str.starts_with("niah")
    compared = ("rank", "margin", "chance")
    columns = [
        pl.when(is_needle | (name not in compared)).then(value).cast(LIKELY[name]).alias(name)
        for name, value in NUMBERS.items()
    ]
    pl.read_parquet(path).with_columns(columns).select(list(LIKELY)).write_parquet(path)
    return path


def made(folder: Path) -> Path:
    (definition,) = [each for each in PLAN.shows.tables if each.name == "likelihood"]
    write_diagnoses(
        definition,
        folder / "likelihood",
        likelihoods(folder),
        grid=PLAN.grid(),
        models=PLAN.shown(),
        templates=TEMPLATES,
    )
    return folder / "likelihood"


def test_the_table_has_a_line_per_suite_model_and_length(tmp_path: Path) -> None:
    text = made(tmp_path).with_suffix(".md").read_text(encoding="utf-8")
    head = "| Suite | Model | Length | Score (%) | Nats per token | Margin (nats) | First (%) |"
    assert head in text
    assert text.count("| Llama |") == 2 + 3
    assert "| ruler | Llama | 128 | 100.0 | -0.50 [-0.50, -0.50] | 6.20 [" in text
    assert "| 80.0 | 50.0 |" in text
    assert "were tokenized by themselves" in text


def test_the_csv_has_every_task(tmp_path: Path) -> None:
    with made(tmp_path).with_suffix(".csv").open(encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    by_task = {
        row["task"]: row
        for row in found
        if (row["suite"], row["model"], row["length"]) == ("ruler", "nano-llama", "256")
    }
    assert set(by_task) == {"all", *PLAN.tasks["ruler"]}
    needle, other = by_task["niah_single_1"], by_task["vt"]
    assert (needle["margin"], needle["first_mean"], needle["chance"]) == ("3.0", "0.8", "0.5")
    assert float(needle["margin_low"]) < 3 < float(needle["margin_high"])
    assert (other["margin"], other["first_mean"], other["chance"]) == ("", "", "")
    assert (other["nats_per_token"], other["samples"], other["apart"]) == ("-1.0", "10", "1")


def test_latex_has_as_many_cells_as_columns(tmp_path: Path) -> None:
    text = made(tmp_path).with_suffix(".tex").read_text(encoding="utf-8")
    body = text.split("\\midrule")[1].split("\\bottomrule")[0]
    widths = {line.count("&") for line in body.splitlines() if "&" in line}
    assert widths == {text.split("\\begin{tabular}{")[1].split("}")[0].count("r") + 1}


@pytest.mark.parametrize("name", ["ruler_margin_curve", "depth_margin_distance"])
def test_figures_are_written_whole_and_alike(tmp_path: Path, name: str) -> None:
    scores = scores_file(tmp_path, estimates(PLAN))
    diagnosis = likelihoods(tmp_path)
    for folder in ("one", "two"):
        write_figure(
            figure_of(PLAN, name),
            [scores],
            tmp_path / folder / name,
            study="small",
            grid=PLAN.grid(),
            models=PLAN.shown(),
            diagnosis=diagnosis,
        )
    for suffix in SUFFIXES:
        one, two = (tmp_path / folder / f"{name}{suffix}" for folder in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_the_curve_shows_margins_with_scores(tmp_path: Path) -> None:
    rows = read_likelihoods(likelihoods(tmp_path), PLAN.grid())
    figure = figure_of(PLAN, "ruler_margin_curve")
    points = margin_curve(rows, PLAN.grid(), PLAN.shown(), figure).to_dict()["data"]["values"]
    assert len(points) == 2 * 2
    (point,) = [each for each in points if (each["label"], each["length"]) == ("Llama", "128")]
    assert (point["margin"], point["score"], point["samples"]) == (6.2, 100, 8 * 10)
    assert point["low"] < 6.2 < point["high"]


def test_a_single_needle_has_no_band(tmp_path: Path) -> None:
    """One needle tells nothing of how margins vary, and infinity is no number in JSON."""
    rows = read_likelihoods(likelihoods(tmp_path, samples=1), PLAN.grid())
    figure = figure_of(PLAN, "depth_margin_distance")
    points = margin_distance(rows, PLAN.grid(), PLAN.shown(), figure).to_dict()["data"]["values"]
    assert {(point["low"], point["high"]) for point in points} == {(None, None)}


def test_a_study_without_likelihoods_has_no_table_of_them(tmp_path: Path) -> None:
    silent = small_plan()
    assert "likelihood" not in {table.name for table in silent.shows.tables}
    (definition,) = [each for each in PLAN.shows.tables if each.name == "likelihood"]
    with pytest.raises(RecordError, match="holds no likelihoods; set likelihood: true"):
        write_diagnoses(
            definition,
            tmp_path / "x",
            diagnosis_file(tmp_path, estimates(silent)),
            grid=silent.grid(),
            models=silent.shown(),
            templates=TEMPLATES,
        )


def test_a_table_of_likelihoods_that_nobody_computes_is_refused() -> None:
    tables = [{"name": "mine", "value": "likelihood"}]
    with pytest.raises(StudyError, match="tables: mine shows likelihoods, which nobody computes"):
        small_plan(tables=tables)
    shown = small_plan(tables=tables, likelihood=True).shows
    assert [table.name for table in shown.tables] == ["mine"]


def test_hazards_and_likelihoods_are_not_studied_together() -> None:
    with pytest.raises(StudyError, match="remove likelihood, or hazards"):
        small_plan(likelihood=True, hazards=["m2a-conv-state"], models=["nano-mamba2attn"])


def test_a_plan_without_likelihoods_says_nothing_of_them() -> None:
    silent, asking = small_plan(), PLAN
    for part, content in silent.parts().items():
        told = content.model_dump_json() if hasattr(content, "model_dump_json") else str(content)
        assert not [word for word in ("likelihood", "distractors") if word in told], part
    assert "--likelihood" not in silent.predict_options("nano-llama")
    assert "--likelihood" in asking.predict_options("nano-llama")
    assert "--distractors" in asking.dataset_options("nano-base", "vt")


def test_the_report_says_what_scores_do_not_show(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    for table in PLAN.shows.tables:
        (tmp_path / f"tables/{table.name}.md").write_text(table.name, encoding="utf-8")
    write_report(
        PLAN.study,
        PLAN.shows,
        tmp_path,
        scores=scores_file(tmp_path, estimates(PLAN)),
        diagnosis=likelihoods(tmp_path),
        grid=PLAN.grid(),
        models=PLAN.shown(),
        template=TEMPLATES / "report.md.j2",
    )
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "## Below the threshold" in text
    assert "- **Llama** is all right with a falling margin in `niah_single_1` (128 to 256" in text
    assert "figures/ruler_margin_curve.svg" in text
