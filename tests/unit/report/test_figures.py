"""Figures: the numbers of the tables, and files that a browser and a printer can show."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from needlework.errors import StudyError
from needlework.report.charts import SUFFIXES
from needlework.report.composition import COLUMN, LARGE, PLAIN, SMALL, TEXT
from needlework.report.curves import length_curve, retention_curve
from needlework.report.figures import write_figure
from needlework.report.needles import depth_heatmap
from needlework.report.reasons import failure_bars
from needlework.scores.cells import CellEstimate
from needlework.scores.diagnoses import read_diagnoses
from needlework.study.definitions import FigureDefinition, FigureKind
from tests.study_for_tests import diagnosis_file, estimates, figure_of, right, scores_of, small_plan
from tests.unit.analysis.test_training_runs import several
from tests.unit.report.test_tables import scores_file

PLAN = small_plan()
SCORES = scores_of(PLAN, lambda model, task, length: right(7 if length == 128 else 4))
MEASURED = ("nano-mamba2", "nano-llama", "nano-rwkv6")
FIGURES = [figure for figure in PLAN.shows.figures if figure.kind != "cost"]


def draw(
    figure: FigureDefinition,
    scores: Path,
    output: Path,
    cells: Sequence[CellEstimate] | None = None,
) -> None:
    """Draw a figure of these cells, or of all."""
    found = estimates(PLAN) if cells is None else cells
    write_figure(
        figure,
        [scores],
        output,
        study="small",
        grid=PLAN.grid(),
        models=PLAN.shown(),
        diagnosis=diagnosis_file(scores.parent, found),
    )


def assert_fits_a_page(drawing: str) -> None:
    """At most as wide as a text or a column, with letters of 8 to 10 points at that width."""
    (width,) = re.findall(r'^<svg [^>]*?width="([\d.]+)pt"', drawing)
    assert TEXT - 30 < float(width) <= TEXT or COLUMN - 30 < float(width) <= COLUMN
    sizes = {int(size) for size in re.findall(r'font-size="(\d+)px"', drawing)}
    assert {SMALL, LARGE} <= sizes <= {SMALL, PLAIN, LARGE}


BY_NAME = pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)


def test_the_heatmap_has_a_square_per_model_length_and_depth() -> None:
    spec = depth_heatmap(SCORES, PLAN.shown(), figure_of(PLAN, "depth_heatmap")).to_dict()
    rows = spec["data"]["values"]
    assert len(rows) == 2 * 3 * 7
    assert {round(row["mean"], 9) for row in rows if row["length"] == 128} == {70.0}
    assert {row["length"] for row in rows if row["trained"]} == {256}


def test_the_curve_has_a_point_per_model_and_length_with_its_interval() -> None:
    chart = length_curve(SCORES, PLAN.shown(), figure_of(PLAN, "length_curve"))
    rows = chart.to_dict()["data"]["values"]
    assert len(rows) == 2 * 2
    assert all(row["low"] < row["mean"] < row["high"] for row in rows)
    assert {row["family"] for row in rows} == {"linear", "attention"}


@pytest.mark.parametrize("kind", ["length_curve", "retention_curve"])
def test_training_runs_of_a_recipe_are_one_line_with_its_runs_beside_it(kind: FigureKind) -> None:
    plan, paired = several({"nano-mamba2": (9, 8, 4), "nano-llama": (3, 5, 4), "nano-rwkv6": (6,)})
    figure, models = FigureDefinition(name="x", kind=kind, suite="ruler"), plan.shown()
    draw_it = length_curve if kind == "length_curve" else retention_curve
    chart = draw_it(paired.scores, models, figure).to_dict()
    rows = chart["data"]["values"]
    recipes, runs = ([row for row in rows if ("run" in row) == own] for own in (False, True))
    names = {model.name: model.label for model in models}
    assert {row["label"] for row in recipes} == {names[name] for name in MEASURED}
    assert {row["run"] for row in runs} == {each.label for each in models} - {names["nano-rwkv6"]}
    if kind == "length_curve":
        mamba = next(row for row in recipes if row["label"] == names["nano-mamba2"])
        assert (mamba["low"], mamba["high"]) == (pytest.approx(40), pytest.approx(90))
        assert mamba["mean"] == pytest.approx(70)
        assert mamba["runs"] == 3
        assert "runs" not in next(row for row in recipes if row["label"] == names["nano-rwkv6"])
    told = " ".join(chart["title"]["subtitle"])
    assert "from the worst run to the best" in told


def test_a_figure_says_how_many_runs_its_recipes_have(tmp_path: Path) -> None:
    plan, _ = several({"nano-mamba2": (9, 8, 4), "nano-llama": (3, 5, 4)})
    cells = scores_file(tmp_path, estimates(plan))
    figure = next(each for each in plan.shows.figures if each.kind == "length_curve")
    output = tmp_path / "curve"
    write_figure(figure, [cells], output, study="s", grid=plan.grid(), models=plan.shown())
    drawing = output.with_name("curve.svg").read_text(encoding="utf-8")
    assert "Study s: 6 checkpoints, 3 training runs of a recipe." in drawing


def test_a_figure_of_answers_without_their_diagnosis_is_refused(tmp_path: Path) -> None:
    figure, cells = figure_of(PLAN, "failure_bars"), scores_file(tmp_path, estimates(PLAN))
    with pytest.raises(StudyError, match="failure_bars: needs --diagnosis"):
        write_figure(
            figure, [cells], tmp_path / "x", study="x", grid=PLAN.grid(), models=PLAN.shown()
        )


def test_the_shares_of_a_bar_are_all_answers(tmp_path: Path) -> None:
    rows = read_diagnoses(diagnosis_file(tmp_path, estimates(PLAN)), PLAN.grid())
    chart = failure_bars(rows, PLAN.grid(), PLAN.shown(), figure_of(PLAN, "failure_bars"))
    shares = chart.to_dict()["data"]["values"]
    for model, length in {(row["label"], row["length"]) for row in shares}:
        bar = [row for row in shares if (row["label"], row["length"]) == (model, length)]
        assert sum(row["mean"] for row in bar) == pytest.approx(100)
        assert sum(row["count"] for row in bar) == bar[0]["samples"] == 13 * 10


@BY_NAME
def test_a_figure_is_written_for_screen_and_print(tmp_path: Path, figure: FigureDefinition) -> None:
    cells = scores_file(tmp_path, estimates(PLAN))
    draw(figure, cells, tmp_path / figure.name)
    drawing = (tmp_path / f"{figure.name}.svg").read_text(encoding="utf-8")
    assert drawing.startswith("<svg")
    assert_fits_a_page(drawing)
    assert "Study small: 2 checkpoints, one training run each." in drawing
    assert "n\u00a0=\u00a0" in drawing
    assert (tmp_path / f"{figure.name}.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / f"{figure.name}.pdf").read_bytes().startswith(b"%PDF")
    assert (
        (tmp_path / f"{figure.name}.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    )


@BY_NAME
def test_equal_scores_give_equal_bytes(tmp_path: Path, figure: FigureDefinition) -> None:
    cells = scores_file(tmp_path, estimates(PLAN))
    for folder in ("one", "two"):
        draw(figure, cells, tmp_path / folder / figure.name)
    for suffix in SUFFIXES:
        one, two = (tmp_path / folder / f"{figure.name}{suffix}" for folder in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


@BY_NAME
def test_a_missing_cell_is_left_out_and_named(tmp_path: Path, figure: FigureDefinition) -> None:
    suite = figure.suite
    gone = ("nano-llama", suite, 256)
    cells = [each for each in estimates(PLAN) if (each.model, each.suite, each.length) != gone]
    path = scores_file(tmp_path, cells)
    draw(figure, path, tmp_path / figure.name, cells)
    picture = (tmp_path / f"{figure.name}.svg").read_text(encoding="utf-8")
    assert "Not computed, and left out:" in picture
    assert f"Llama, suite {suite}, at 256 tokens" in picture
    with (tmp_path / f"{figure.name}.csv").open(encoding="utf-8") as lines:
        *rows, last = csv.DictReader(lines)
    assert (last["label"], last["length"]) == ("Llama", "256")
    assert sum(bool(value) for value in last.values()) == 2
    drawn = [row for row in rows if row["label"] == "Llama" and row.get("length") == "256"]
    assert not drawn


@BY_NAME
def test_a_whole_study_has_no_remark(tmp_path: Path, figure: FigureDefinition) -> None:
    cells = scores_file(tmp_path, estimates(PLAN))
    draw(figure, cells, tmp_path / figure.name)
    assert "Not computed" not in (tmp_path / f"{figure.name}.svg").read_text(encoding="utf-8")
