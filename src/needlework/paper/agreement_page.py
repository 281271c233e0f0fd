"""Ours against published as a page, a CSV file and a picture.

Agreement is decided in `needlework.paper.agreement`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt

from needlework.errors import StudyError
from needlework.files import write_csv, write_text
from needlework.paper.agreement import Agreement, agreements
from needlework.paper.audit import describe
from needlework.paper.evidence import OfStudy
from needlework.paper.published import read_tables
from needlework.report import charts
from needlework.report.composition import TEXT, answers, framed, heading
from needlework.report.rendering import render
from needlework.scores.cells import read_estimates
from needlework.scores.estimates import Scores
from needlework.study.grid import Grid
from needlework.study.shown import ShownModel


def write_agreement(
    published: Path,
    cells: Path,
    output: Path,
    *,
    study: str,
    grid: Grid,
    models: Sequence[ShownModel],
    samples: int,
    templates: Path,
) -> None:
    """Write `output` with the suffixes .md, .csv and those of `charts.SUFFIXES`.

    Raises:
        RecordError: published tables or cells cannot be read.
        StudyError: no printed number is of a model and length of this study.
    """
    scores = OfStudy(Scores(read_estimates(cells), grid))
    found = list(agreements(read_tables(published), scores, models, samples=samples))
    if not found:
        raise StudyError(
            f"{published} has no number of a model and length of this study; their names must be "
            "equal"
        )
    rows = [_row(one) for one in found]
    page = render(
        templates / "agreement.md.j2",
        tables=_by_table(found),
        outside=[row for row in rows if row["verdict"] == "outside"],
        total=len(rows),
        samples=samples,
        name=output.name,
    )
    write_text(output.with_suffix(".md"), page)
    write_csv(output.with_suffix(".csv"), rows)
    charts.save(scatter(found, study), output)


def _row(one: Agreement) -> dict[str, Any]:
    return {
        "where": describe(one.number),
        "ours": f"{100 * one.ours.mean:.2f}",
        "published": one.number.printed,
        "difference": f"{100 * one.difference.value:.2f}",
        "low": f"{100 * one.difference.low:.2f}",
        "high": f"{100 * one.difference.high:.2f}",
        "verdict": "inside" if one.is_inside else "outside",
        "count": one.ours.count,
        "place": one.number.place,
    }


def _by_table(found: Sequence[Agreement]) -> Mapping[int, tuple[int, int]]:
    """Numbers compared, and numbers inside, by table."""
    tables = sorted({one.number.table for one in found})
    own = {table: [one for one in found if one.number.table == table] for table in tables}
    return {table: (len(ones), sum(one.is_inside for one in ones)) for table, ones in own.items()}


def scatter(found: Sequence[Agreement], study: str) -> alt.TopLevelMixin:
    """Every number, ours over published, with both intervals and the line on which they agree."""
    labels = list(dict.fromkeys(one.number.label for one in found))
    look = charts.looks(labels, legend=True)
    points = [_point(one) for one in found]
    scale = alt.Scale(domain=[0, 100])
    line = alt.Chart(alt.Data(values=[{"at": 0}, {"at": 100}])).mark_line(color="#777777")
    base = alt.Chart(alt.Data(values=points)).encode(
        x=alt.X("published:Q", title="published (%)", scale=scale),
        y=alt.Y("ours:Q", title="ours (%)", scale=scale),
        color=look["color"],
    )
    rules = base.mark_rule(opacity=0.25)
    marks = base.mark_point(size=24, opacity=1, strokeWidth=1.5).encode(
        shape=look["shape"],
        fill=alt.condition("datum.inside", alt.value("white"), look["color"]),
        tooltip=[
            alt.Tooltip("where:N", title="number"),
            alt.Tooltip("ours:Q", format=".2f"),
            alt.Tooltip("published:Q", format=".2f"),
            alt.Tooltip("verdict:N"),
        ],
    )
    chart = alt.layer(
        line.encode(x=alt.X("at:Q"), y=alt.Y("at:Q")),
        rules.encode(y="low:Q", y2="high:Q"),
        rules.encode(x="published_low:Q", x2="published_high:Q"),
        marks,
    )
    told = [
        "Lines: 95 % intervals; filled: outside the combined interval.",
        answers(points, "number"),
        f"Study {study}: each of our numbers is of one checkpoint.",
    ]
    return framed(chart, width=TEXT, height=TEXT).properties(
        title=heading("Ours against published", *told)
    )


def _point(one: Agreement) -> dict[str, str | float | bool]:
    """One number in percent; its place distinguishes it from others of the same model."""
    return {
        "label": one.number.label,
        "where": describe(one.number),
        "ours": 100 * one.ours.mean,
        "low": 100 * one.ours.low,
        "high": 100 * one.ours.high,
        "published": 100 * one.published.mean,
        "published_low": 100 * one.published.low,
        "published_high": 100 * one.published.high,
        "count": one.ours.count,
        "inside": one.is_inside,
        "verdict": "inside" if one.is_inside else "outside",
    }
