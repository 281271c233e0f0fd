"""Charts: every panel is there, and each value is the estimate it claims to be."""

from typing import Any

import pytest

from needlework.paper import FORMATS
from needlework.report.charts import format_bars, retention_curve
from needlework.report.layout import Scores
from tests.study_for_tests import estimates, right, small_plan

PLAN = small_plan()
MODELS = PLAN.shown()
SCORES = Scores(estimates(PLAN, lambda model, task, length: right(8 if length <= 256 else 2)))


def values(chart: Any) -> list[dict[str, Any]]:
    """The rows that a chart shows."""
    found: list[dict[str, Any]] = chart.to_dict()["data"]["values"]
    return found


def test_what_is_kept_starts_at_the_training_length() -> None:
    rows = values(retention_curve(SCORES, MODELS))
    assert [(row["model"], row["times"], row["kept"]) for row in rows] == [
        (model.label, 1, 1.0) for model in MODELS
    ]


def test_what_is_kept_is_the_share_of_the_score_at_the_training_length() -> None:
    suites = {"ruler": {"lengths": [256, 512]}, "depth": {"lengths": [256, 512]}}
    study = small_plan(suites=suites)
    scores = Scores(estimates(study, lambda model, task, length: right(8 if length <= 256 else 2)))
    kept = [row["kept"] for row in values(retention_curve(scores, study.shown()))]
    assert kept == pytest.approx([1.0, 0.25] * len(MODELS))


def test_every_format_is_shown_at_three_lengths() -> None:
    rows = values(format_bars(SCORES, MODELS))
    assert len(rows) == len(MODELS) * 3 * len(FORMATS)
    assert {(row["length"], round(row["mean"])) for row in rows} == {
        ("128", 80),
        ("256", 80),
        ("512", 20),
    }
    assert all(row["low"] < row["mean"] < row["high"] for row in rows)
