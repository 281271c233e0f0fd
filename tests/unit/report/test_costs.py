"""The figure of costs: scores with their intervals over hours, and whether those were measured."""

import csv
from pathlib import Path

import pytest

from needlework.cost.study import planned
from needlework.report.figures import write_figure
from tests.study_for_tests import COUNT, estimates, figure_of, right, small_plan
from tests.unit.report.test_tables import scores_file

PLAN = small_plan()


def drawn(folder: Path, *, benchmarks: Path | None) -> list[dict[str, str]]:
    """The table beside the figure."""
    scores = scores_file(folder, estimates(PLAN, lambda model, task, length: right(4)))
    costs = planned(PLAN)
    write_figure(
        figure_of(PLAN, "cost"),
        [scores],
        folder / "cost",
        study="small",
        grid=PLAN.grid(),
        models=PLAN.shown(),
        planned=costs,
        benchmarks=benchmarks,
    )
    with (folder / "cost.csv").open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_every_model_and_length_has_its_score_and_hours(tmp_path: Path) -> None:
    rows = drawn(tmp_path, benchmarks=None)
    assert [(row["label"], row["length"]) for row in rows] == [
        (model.label, str(length)) for model in PLAN.shown() for length in (128, 256)
    ]
    assert {row["kind"] for row in rows} == {"estimated"}
    for row in rows:
        assert float(row["low"]) < float(row["mean"]) < float(row["high"])
        assert float(row["mean"]) == pytest.approx(40)
        assert float(row["hours"]) > 0


def test_measured_hours_take_the_place_of_estimates(tmp_path: Path) -> None:
    path = tmp_path / "predict/nano-llama/ruler/256.tsv"
    path.parent.mkdir(parents=True)
    path.write_text("s\th:m:s\tmax_rss\tcpu_time\n7200.0\t2:00:00\t500.0\t7100.0\n")
    rows = drawn(tmp_path, benchmarks=tmp_path)
    found = {(row["label"], row["length"]): row for row in rows}
    assert found["Llama", "256"]["kind"] == "measured"
    assert float(found["Llama", "256"]["hours"]) == 2.0
    assert float(found["Llama", "256"]["seconds"]) == pytest.approx(7200 / (13 * COUNT))
    assert found["Llama", "128"]["kind"] == "estimated"


def test_a_study_of_unknown_costs_still_has_its_figure(tmp_path: Path) -> None:
    scores = scores_file(tmp_path, estimates(PLAN))
    figure = figure_of(PLAN, "cost")
    known = {"grid": PLAN.grid(), "models": PLAN.shown()}
    write_figure(figure, [scores], tmp_path / "cost", study="small", **known)  # type: ignore[arg-type]
    assert (tmp_path / "cost.svg").is_file()
    assert (tmp_path / "cost.csv").read_text(encoding="utf-8").strip() == ""
