"""The page of a hazard study: every cost in words, in the table and in the picture."""

import csv
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import polars as pl
import pytest

from needlework.defects import StudyHazard
from needlework.errors import RecordError
from needlework.hazards.effects import REMAINDER, TOTAL, Breakdown, Cost, breakdowns
from needlework.hazards.page import HEADS, sentence, write_hazards
from needlework.hazards.waterfall import hazard_waterfall
from needlework.report.charts import SUFFIXES
from needlework.statistics.contrasts import Interval
from tests.unit.hazards.test_effects import MODELS, frame, scores
from tests.unit.study.test_variants import hazard_plan

TEMPLATES = Path(__file__).parents[3] / "reports/templates"
STUDY = hazard_plan("nano-mamba2attn", "nano-llama").study


def cost(part: str, *points: float, changed: int = 9, adjusted: float | None = 0.001) -> Cost:
    limits = Interval(*points)
    return Cost(part=part, points=limits, changed=changed, samples=10, adjusted=adjusted)


def row(*costs: Cost) -> Breakdown:
    return Breakdown(
        model="m",
        label="M2A",
        suite="ruler",
        asked=MODELS[0].suites["ruler"],
        length=None,
        all_defects=0.5,
        no_defect=0.8,
        costs=costs,
    )


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (cost("mamba-sampling", 0.12, 0.10, 0.15), "Sampling costs 12.0 [10.0, 15.0] points."),
        (
            cost("uuid-numbers", -0.05, -0.07, -0.02),
            "Asking for numbers in place of UUIDs flatters by 5.0 [2.0, 7.0] points.",
        ),
        (cost("rg-window", 0, 0, 0, changed=0, adjusted=1), "The shifted window changes no score."),
        (
            cost("m2a-conv-state", 0.01, -0.02, 0.04, adjusted=0.4),
            "The wrong convolution state makes no certain difference (1.0 [-2.0, 4.0] points).",
        ),
        (
            cost(REMAINDER, -0.1, -0.2, -0.05, adjusted=None),
            "What they do together is not certain either (interaction -10.0 [-20.0, -5.0]).",
        ),
        (
            cost(REMAINDER, 0.001, -0.2, 0.05, adjusted=None),
            "Together they cost what they cost one by one (interaction 0.1 [-20.0, 5.0]).",
        ),
    ],
    ids=["costs", "flatters", "nothing", "uncertain", "mirror", "as much"],
)
def test_a_cost_is_told_in_words(part: Cost, words: str) -> None:
    told = sentence(row(part, cost(TOTAL, 0.3, 0.2, 0.4)))
    assert told == f"**M2A**: 50.0 with all defects, 80.0 with none. {words}"


@pytest.mark.parametrize("hazard", get_args(StudyHazard))
def test_every_defect_has_words(hazard: str) -> None:
    """One of those of the tuned models had none, so that a study of it ended with a KeyError."""
    assert " costs 12.0 [10.0, 15.0] points." in sentence(row(cost(hazard, 0.12, 0.10, 0.15)))
    assert hazard in HEADS


def test_defects_that_cost_something_may_cost_less_together() -> None:
    parts = (cost("rg-window", 0.2, 0.1, 0.3), cost(REMAINDER, -0.1, -0.2, -0.05, adjusted=None))
    told = sentence(row(*parts, cost(TOTAL, 0.1, 0.05, 0.2)))
    assert told.endswith("together they cost 10.0 [5.0, 20.0] points less than one by one.")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "scores.parquet"
    frame(scores()).write_parquet(path)
    write_hazards(STUDY, MODELS, tmp_path, scores=path, templates=TEMPLATES)
    return tmp_path


def test_every_number_of_the_table_is_that_of_the_statistics(written: Path) -> None:
    with (written / "hazards.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    found = breakdowns(frame(scores()), MODELS, seed=STUDY.seed)
    costs = [(each, part) for each in found for part in each.costs]
    assert len(lines) == len(costs)
    for line, (each, part) in zip(lines, costs, strict=True):
        assert (line["model"], line["part"]) == (each.model, part.part)
        assert float(line["cost"]) == pytest.approx(part.points.value, abs=1e-6)
        assert float(line["low"]) == pytest.approx(part.points.low, abs=1e-6)


def test_the_page_has_a_line_for_every_model_and_suite(written: Path) -> None:
    page = (written / "hazards.md").read_text(encoding="utf-8")
    found = breakdowns(frame(scores()), MODELS, seed=STUDY.seed)
    for each in found:
        if each.length is None:
            assert f"- {sentence(each)}\n" in page
    assert "figures/hazard_waterfall.svg" in page
    assert "trained once" in page


def drawn_steps(found: Sequence[Breakdown]) -> list[list[dict[str, Any]]]:
    """The bars of every panel; panels that share their data leave it to what is around them."""
    drawn = hazard_waterfall(found).to_dict()
    return [
        panel.get("data", part.get("data", drawn.get("data")))["values"]
        for part in drawn["vconcat"]
        for panel in part["concat"]
    ]


def test_the_picture_leads_from_all_defects_to_none(written: Path) -> None:
    for suffix in SUFFIXES:
        assert (written / f"figures/hazard_waterfall{suffix}").stat().st_size > 0
    found = breakdowns(frame(scores()), MODELS, seed=1)
    panels = drawn_steps(found)
    rows = [each for each in found if each.length is None]
    for steps, each in zip(panels, rows, strict=True):
        assert steps[0]["end"] == pytest.approx(100 * each.all_defects)
        for before, step in pairwise(steps[:-1]):
            assert step["start"] == pytest.approx(before["end"])
        assert steps[-1]["end"] == pytest.approx(steps[-2]["end"])
        assert steps[-1]["end"] == pytest.approx(100 * each.no_defect)


def test_a_defect_that_changes_nothing_has_no_sign() -> None:
    """Its bar was once labelled -0.0."""
    parts = (cost("rg-window", 0, 0, 0, changed=0), cost("uuid-numbers", -0.0004, -0.001, 0.0004))
    (steps,) = drawn_steps([row(*parts)])
    assert [step["text"] for step in steps] == ["50.0", "0", "0.0", "80.0"]


def test_missing_scores_leave_no_file(tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    frame(scores()).filter(pl.col("task") != "vt").write_parquet(path)
    with pytest.raises(RecordError, match="on vt"):
        write_hazards(STUDY, MODELS, tmp_path / "out", scores=path, templates=TEMPLATES)
    assert not (tmp_path / "out").exists()
