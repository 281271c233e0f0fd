"""Charts: each value is the estimate it claims to be; marks are told apart; files are equal."""

from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pytest

from needlework.report import charts
from needlework.report.curves import BAND, length_curve, retention_curve
from needlework.report.needles import SHADES, depth_heatmap, format_points, position_curve
from needlework.statistics.means import Estimate
from needlework.study.paper import FORMATS
from tests.study_for_tests import figure_of, right, scores_of, small_plan

PLAN = small_plan()
MODELS = PLAN.shown()
SCORES = scores_of(PLAN, lambda model, task, length: right(8 if length <= 256 else 2))


def values(chart: Any) -> list[dict[str, Any]]:
    """The rows that a chart shows."""
    found: list[dict[str, Any]] = chart.to_dict()["data"]["values"]
    return found


def test_a_model_of_which_all_formats_are_alike_has_no_panel() -> None:
    """Nothing is left out where that is all of them, and the figure says so."""

    def score(model: str, task: str, length: int) -> Estimate:
        return right(9 if "repeat" in task and model == MODELS[0].name else 2)

    figure = figure_of(PLAN, "format_points")
    told = format_points(scores_of(PLAN, score), MODELS, figure).to_dict()
    assert told["transform"] == [{"filter": {"field": "label", "oneOf": [MODELS[0].label]}}]
    assert f"certain: {MODELS[1].label}." in " ".join(told["title"]["subtitle"])
    alike = format_points(SCORES, MODELS, figure).to_dict()
    assert len(alike["transform"][0]["filter"]["oneOf"]) == len(MODELS)
    assert "No two formats differ for certain." in " ".join(alike["title"]["subtitle"])


def test_rows_of_the_heatmap_are_to_scale() -> None:
    chart = depth_heatmap(SCORES, MODELS, figure_of(PLAN, "depth_heatmap")).to_dict()
    (lookup,) = chart["transform"]
    limits = [(row["above"], row["below"]) for row in lookup["from"]["data"]["values"]]
    assert limits[:4] == [(-10, 10), (10, 30), (30, 45), (45, 55)]
    assert all(before[1] == after[0] for before, after in pairwise(limits))


def test_positions_have_a_point_per_length_and_depth() -> None:
    rows = values(position_curve(SCORES, MODELS, figure_of(PLAN, "position_curve")))
    assert len(rows) == len(MODELS) * 3 * 7
    assert {row["length"] for row in rows if row["trained"]} == {"256"}


def test_one_training_length_is_a_line_and_several_are_rings() -> None:
    figure = figure_of(PLAN, "length_curve")
    told = str(length_curve(SCORES, MODELS, figure).to_dict())
    assert "training length" in told
    assert "Rings" not in told
    other = MODELS[1].model_copy(update={"trained_length": 128})
    assert "Rings: training length." in str(
        length_curve(SCORES, (MODELS[0], other), figure).to_dict()
    )
    far = [model.model_copy(update={"trained_length": 8192}) for model in MODELS]
    assert "Trained at 8,192 tokens." in str(length_curve(SCORES, far, figure).to_dict())


def test_what_is_kept_starts_at_the_training_length() -> None:
    rows = values(retention_curve(SCORES, MODELS, figure_of(PLAN, "retention_curve")))
    assert [(row["label"], row["times"], row["kept"]) for row in rows] == [
        (model.label, 1, 1.0) for model in MODELS
    ]


def test_what_is_kept_is_the_share_of_the_score_at_the_training_length() -> None:
    suites = {"ruler": {"lengths": [256, 512]}, "depth": {"lengths": [256, 512]}}
    study = small_plan(suites=suites)
    scores = scores_of(study, lambda model, task, length: right(8 if length <= 256 else 2))
    kept = [
        row["kept"]
        for row in values(
            retention_curve(scores, study.shown(), figure_of(PLAN, "retention_curve"))
        )
    ]
    assert kept == pytest.approx([1.0, 0.25] * len(MODELS))


def test_every_format_is_shown_at_three_lengths() -> None:
    rows = values(format_points(SCORES, MODELS, figure_of(PLAN, "format_points")))
    assert len(rows) == len(MODELS) * 3 * len(FORMATS)
    assert {(row["length"], round(row["mean"])) for row in rows} == {
        ("128", 80),
        ("256", 80),
        ("512", 20),
    }
    assert all(row["low"] < row["mean"] < row["high"] for row in rows)


# Dichromacy after Machado, Oliveira and Fernandes (2009), full severity, on linear RGB; and grey.
SIGHTS = {
    "protanopia": [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0519]],
    "deuteranopia": [
        [0.3673, 0.8606, -0.2280],
        [0.2801, 0.6727, 0.0472],
        [-0.0118, 0.0429, 0.9689],
    ],
    "tritanopia": [[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]],
    "grey": [[0.2126, 0.7152, 0.0722]] * 3,
}
TO_XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
WHITE = np.array([0.9505, 1.0, 1.089])


def lab(colour: str, sight: str | None = None) -> Any:
    """A colour as somebody sees it, in CIELAB, where equal distances look alike."""
    parts = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(SIGHTS[sight]) @ linear, 0, 1) if sight else linear
    x, y, z = np.cbrt(np.array(TO_XYZ) @ seen / WHITE)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def apart(one: str, other: str, sight: str | None = None) -> float:
    return float(np.linalg.norm(lab(one, sight) - lab(other, sight)))


def test_bands_are_seen_on_paper() -> None:
    """Those of twelve percent of a colour once were not."""
    for colour in (*charts.COLOURS, *charts.shades(6)):
        parts = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
        mixed = [round(BAND * part + (1 - BAND) * 255) for part in parts]
        seen = "#" + "".join(f"{part:02x}" for part in mixed)
        assert apart(seen, "#ffffff", "grey") > 5, colour


@pytest.mark.parametrize("count", range(1, 13))
def test_lengths_are_shades_from_light_to_dark(count: int) -> None:
    found = charts.shades(count)
    assert len(found) == count
    light = [lab(shade)[0] for shade in found[: len(charts.LENGTHS)]]
    assert all(before > after + 4 for before, after in pairwise(light))


def test_colours_are_far_apart_to_most_people() -> None:
    assert min(apart(*pair) for pair in combinations(charts.COLOURS, 2)) > 25


def test_needle_formats_are_far_apart_to_everybody_and_in_print() -> None:
    for sight in SIGHTS:
        assert min(apart(*pair, sight) for pair in combinations(SHADES, 2)) > 18, sight


def test_who_sees_no_colour_sees_shapes_and_dashes() -> None:
    look = charts.looks([str(number) for number in range(11)])
    colours, dashes, shapes = (
        look[channel].to_dict()["scale"]["range"] for channel in ("color", "strokeDash", "shape")
    )
    for one, other in combinations(range(11), 2):
        nearest = min(apart(colours[one], colours[other], sight) for sight in SIGHTS)
        assert nearest > 10 or dashes[one] != dashes[other] or shapes[one] != shapes[other]


def test_no_two_of_many_models_look_alike() -> None:
    look = charts.looks([str(number) for number in range(40)])
    ranges = [look[channel].to_dict()["scale"]["range"] for channel in look]
    assert len({str(marks) for marks in zip(*ranges, strict=True)}) == 40


def chart() -> alt.TopLevelMixin:
    return retention_curve(SCORES, MODELS, figure_of(PLAN, "retention_curve"))


def test_equal_charts_give_equal_files(tmp_path: Path) -> None:
    """As often as chance takes to show: dictionaries of a PDF come in a random order."""
    for place in range(4):
        charts.save(chart(), tmp_path / str(place) / "figure")
    for suffix in charts.SUFFIXES:
        files = [tmp_path / str(place) / f"figure{suffix}" for place in range(4)]
        assert len({path.read_bytes() for path in files}) == 1, suffix


def test_a_page_offers_no_way_out_and_says_what_it_is(tmp_path: Path) -> None:
    charts.save(chart(), tmp_path / "retention_curve")
    page = (tmp_path / "retention_curve.html").read_text(encoding="utf-8")
    assert "<title>retention curve</title>" in page
    assert "actions:false" in page.replace(" ", "")
    assert 'src="http' not in page
    assert "tooltip" in page
