"""What figures have in common: names that do not touch, lines that fit, and how many answers."""

from itertools import pairwise

import altair as alt
import pytest

from needlework.report.composition import (
    COLUMN,
    IN_ROW,
    SMALL,
    TEXT,
    answers,
    heading,
    names_at_ends,
    noted,
    page_width,
    panel_width,
    spread,
)


def test_names_that_are_apart_stay_where_they_are() -> None:
    assert spread([50, 10, 90], apart=10, low=0, high=100) == pytest.approx([50, 10, 90])


def test_names_that_touch_are_moved_as_little_as_it_takes() -> None:
    """Two at one place move by the same distance; the third is far away."""
    assert spread([50, 50, 90], apart=10, low=0, high=100) == pytest.approx([45, 55, 90])


def test_names_keep_their_order_and_their_page() -> None:
    places = [97.0, 99.0, 100.0, 98.0, 3.0, 0.0]
    found = spread(places, apart=8, low=0, high=100)
    order = sorted(range(6), key=places.__getitem__)
    assert order == sorted(range(6), key=found.__getitem__)
    assert all(after - before >= 8 - 1e-9 for before, after in pairwise(sorted(found)))
    assert 0 <= min(found) <= max(found) <= 100


def test_more_names_than_a_page_has_room_for_are_still_apart() -> None:
    found = spread([50.0] * 30, apart=8, low=0, high=100)
    assert found == pytest.approx([8.0 * place for place in range(30)])
    assert spread([], apart=8, low=0, high=100) == []


def test_a_line_has_its_name_at_its_last_point() -> None:
    points = [
        {"label": "A", "length": 128, "mean": 90.0},
        {"label": "A", "length": 256, "mean": 80.0},
        {"label": "B", "length": 128, "mean": 80.0},
    ]
    drawn = names_at_ends(
        points, x=alt.X("length:Q"), value="mean", color=alt.Color("label:N"), height=100, top=100
    ).to_dict()
    rows = drawn["data"]["values"]
    assert [(row["label"], row["length"], row["mean"]) for row in rows] == [
        ("A", 256, 80.0),
        ("B", 128, 80.0),
    ]
    assert abs(rows[0]["place"] - rows[1]["place"]) >= SMALL


@pytest.mark.parametrize("panels", range(1, 9))
def test_panels_in_a_row_are_as_wide_as_the_page(panels: int) -> None:
    row = min(panels, IN_ROW) * panel_width(panels)
    assert 0.7 * page_width(panels) < row < page_width(panels)


def test_a_heading_is_broken_into_lines_that_fit() -> None:
    told = heading("Title", "A sentence of some words. " * 9, width=COLUMN)
    chart = noted(
        alt.Chart().mark_point().properties(title=told), ["Study x: one checkpoint. " * 4]
    )
    lines = chart.to_dict(validate=False)["title"]["subtitle"]
    assert all(len(line) * SMALL / 2 <= COLUMN for line in lines)
    assert len(lines) > 4
    assert heading("Title").limit == TEXT


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ([650, 650], "n = 650 answers a point."),
        ([33, 1186], "n = 33 to 1,186 answers a point."),
        ([], "No answers."),
    ],
    ids=["alike", "different", "none"],
)
def test_the_answers_behind_a_point_are_told(counts: list[int], told: str) -> None:
    found = answers([{"count": count} for count in counts], "point")
    assert found.replace("\u00a0", " ") == told
