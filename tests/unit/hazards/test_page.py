"""The page of a hazard study: every cost in words, in the table and in the picture."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import polars as pl
import pytest

from needlework.defects import StudyHazard
from needlework.errors import RecordError
from needlework.hazards.effects import INTERACTION, TOTAL, Breakdown, Cost, breakdowns
from needlework.hazards.forest import HEADS, hazard_forest
from needlework.hazards.page import sentence, write_hazards
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
            cost(INTERACTION, -0.1, -0.2, -0.05, adjusted=None),
            "What they do together is not certain either (interaction -10.0 [-20.0, -5.0]).",
        ),
        (
            cost(INTERACTION, 0.001, -0.2, 0.05, adjusted=None),
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
    parts = (cost("rg-window", 0.2, 0.1, 0.3), cost(INTERACTION, -0.1, -0.2, -0.05, adjusted=None))
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
    assert "figures/hazard_forest.svg" in page
    assert "trained once" in page


def test_tables_hold_no_screen_of_zeros(tmp_path: Path) -> None:
    """Models to which no defect makes a certain difference are named, and stand in the CSV file."""
    found = scores()
    alike = {key: found["nano-llama+no-defect", *key[1:]] for key in found if "llama" in key[0]}
    path = tmp_path / "scores.parquet"
    frame(found | alike).write_parquet(path)
    write_hazards(STUDY, MODELS, tmp_path, scores=path, templates=TEMPLATES)
    page = (tmp_path / "hazards.md").read_text(encoding="utf-8")
    assert "No defect makes a certain difference to M2A, Llama, whose numbers" in page
    assert page.count("| M2A |") == 3  # In RULER alone: over all lengths, and at both.
    assert "| Llama |" not in page
    assert "nano-llama,Llama,depth" in (tmp_path / "hazards.csv").read_text(encoding="utf-8")


def drawn(found: Sequence[Breakdown]) -> list[dict[str, Any]]:
    """The points of the picture."""
    points: list[dict[str, Any]] = hazard_forest(found, study="h").to_dict()["data"]["values"]
    return points


def test_the_picture_has_every_cost_over_all_lengths(written: Path) -> None:
    for suffix in SUFFIXES:
        assert (written / f"figures/hazard_forest{suffix}").stat().st_size > 0
    found = breakdowns(frame(scores()), MODELS, seed=1)
    costs = [
        (f"{HEADS[part.part]}: {each.label}", 100 * part.points.value)
        for each in found
        if each.length is None
        for part in each.costs
        if part.part != TOTAL or len(each.costs) > 2
    ]
    assert [(point["row"], point["cost"]) for point in drawn(found)] == costs


def test_a_point_is_filled_where_a_test_says_so() -> None:
    """The total of one defect is that defect; what defects add to each other has no test."""
    parts = (
        cost("rg-window", 0.1, 0.05, 0.2),
        cost("uuid-numbers", -0.01, -0.02, 0.01, adjusted=0.4),
        cost(INTERACTION, 0.01, 0.0, 0.1, adjusted=None),
        cost(TOTAL, 0.1, 0.05, 0.2),
    )
    points = drawn([row(*parts)])
    assert [point["kind"] for point in points] == [
        "certain",
        "uncertain",
        "not tested",
        "certain",
    ]
    (only,) = drawn([row(parts[0], parts[3])])
    assert only["row"] == "shifted window: M2A"


def test_the_picture_says_how_many_samples_and_tests_there_are() -> None:
    told = hazard_forest(breakdowns(frame(scores()), MODELS, seed=1), study="h").to_dict()["title"]
    text = " ".join(told["subtitle"]).replace("\u00a0", " ")
    assert re.search(r"RULER: n = \d+", text)
    assert re.search(r"significant at 5 % \(\d+ paired tests, Holm\)", text)
    assert "Study h: 2 checkpoints, one training run each." in text


def test_missing_scores_leave_no_file(tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    frame(scores()).filter(pl.col("task") != "vt").write_parquet(path)
    with pytest.raises(RecordError, match="on vt"):
        write_hazards(STUDY, MODELS, tmp_path / "out", scores=path, templates=TEMPLATES)
    assert not (tmp_path / "out").exists()
