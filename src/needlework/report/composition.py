"""What figures have in common on a page: sizes in print, headings, and names at the ends of lines.

A pixel of a drawing is a point, of which 72 are an inch.
"""

import textwrap
from collections.abc import Iterable, Mapping, Sequence

import altair as alt
import numpy as np
from scipy.optimize import isotonic_regression

from needlework.study.shown import ShownModel

TEXT, COLUMN = 396, 237
"""As wide as a text of 5.5 inches, and as one of two columns of 3.3 inches."""
SMALL, PLAIN, LARGE = 8, 9, 10
"""Letters of labels, of titles of axes and panels, and of the title of a figure."""
LETTER = 0.5
"""The width of a letter of a sentence, as a share of its height; few sentences have wider ones."""
IN_ROW = 3
GAP = 10
"""Between panels."""
AXIS = 44
"""What an axis of percentages takes beside its panels, and the margins on both sides."""
INK = "#222222"
NO_BREAK = "\N{NO-BREAK SPACE}"
PERCENT = "datum.label + ' %'"
TOKENS = "datum.value >= 1024 && datum.value % 1024 == 0 ? datum.value / 1024 + 'K' : datum.label"
"""Lengths as papers write them: 512, 1K, 2K."""

Point = Mapping[str, str | float]


def heading(title: str, *sentences: str, width: int = TEXT) -> alt.TitleParams:
    """A title with sentences below it, in lines that a figure of this width has room for."""
    return alt.TitleParams(
        _lines(title, LARGE, width), subtitle=_lines(" ".join(sentences), SMALL, width), limit=width
    )


def noted(chart: alt.TopLevelMixin, lines: Sequence[str]) -> alt.TopLevelMixin:
    """The chart with more lines below its heading."""
    title = chart.title.copy()
    broken = [part for line in lines for part in _lines(line, SMALL, title.limit)]
    title.subtitle = [*title.subtitle, *broken]
    return chart.properties(title=title)


def framed(chart: alt.LayerChart, *, width: int, height: int) -> alt.LayerChart:
    """The chart drawn so large, with its heading, its axes and the names at the ends of lines."""
    return chart.properties(
        width=width,
        height=height,
        padding=2,
        autosize=alt.AutoSizeParams(type="fit", contains="padding"),
    )


def panel_width(panels: int) -> int:
    """The width of each of so many panels, three in a row; one alone is as wide as a column."""
    columns = max(1, min(panels, IN_ROW))
    whole = COLUMN if columns == 1 else TEXT
    return (whole - AXIS - GAP * (columns - 1)) // columns


def page_width(panels: int) -> int:
    """The width of a figure of so many panels."""
    return COLUMN if panels <= 1 else TEXT


def by_model(
    panel: alt.Chart | alt.LayerChart,
    models: Sequence[ShownModel],
    title: alt.TitleParams,
    *,
    x: str,
) -> alt.FacetChart:
    """A panel per model, three in a row; what the horizontal axes show is said once, below all."""
    return panel.facet(
        facet=alt.Facet(
            "label:N",
            title=x,
            sort=[model.label for model in models],
            header=alt.Header(titleOrient="bottom", labelOrient="top", labelPadding=2),
        ),
        columns=IN_ROW,
        spacing=GAP,
        title=title,
    )


def answers(points: Iterable[Point], mark: str) -> str:
    """How many answers are behind each mark of a figure, as a sentence."""
    counts = sorted({int(point["count"]) for point in points})
    if not counts:
        return "No answers."
    few, many = (f"{count:,}" for count in (counts[0], counts[-1]))
    return f"n{NO_BREAK}={NO_BREAK}{few if few == many else f'{few} to {many}'} answers a {mark}."


def length_axis(lengths: Sequence[int] = ()) -> alt.Axis:
    """An axis of context lengths: with a label at these, or at each of those that have a place."""
    at = {"values": list(lengths), "format": "d"} if lengths else {}
    return alt.Axis(labelExpr=TOKENS, labelAngle=0, **at)


def length_legend(title: str | None) -> alt.Legend:
    """A legend in one line between heading and panels."""
    return alt.Legend(
        title=title,
        titleOrient="left",
        orient="top",
        direction="horizontal",
        labelExpr=TOKENS,
        symbolOpacity=1,
    )


def spread(places: Sequence[float], *, apart: float, low: float, high: float) -> list[float]:
    """The places moved as little as it takes (least squares) to be `apart` from one another.

    They keep their order and stay between `low` and `high`; where there are too many for that, they
    begin at `low`.
    """
    if not places:
        return []
    order = np.argsort(places, kind="stable")
    steps = apart * np.arange(len(places))
    moved = isotonic_regression(np.asarray(places, dtype=float)[order] - steps).x
    found = np.empty(len(places))
    found[order] = np.clip(moved, low, max(low, high - steps[-1])) + steps
    return [float(place) for place in found]


def names_at_ends(
    points: Sequence[Point],
    *,
    x: alt.X,
    value: str,
    color: alt.Color,
    height: float,
    top: float,
) -> alt.LayerChart:
    """The name of each line beside its last point, moved until no two touch, and a thread to it.

    `points` are in the order of the lines, `value` is what they show on an axis from 0 to `top`
    that is `height` points high.
    """
    last = list({point["label"]: point for point in points}.values())
    places = spread(
        [float(point[value]) for point in last],
        apart=(SMALL + 2) * top / height,
        low=0,
        high=top,
    )
    rows = [{**point, "place": place} for point, place in zip(last, places, strict=True)]
    base = alt.Chart(alt.Data(values=rows)).encode(x=x)
    thread = base.mark_rule(xOffset=4, x2Offset=13).encode(
        x2=x.shorthand.removesuffix(":Q"), y=f"{value}:Q", y2="place:Q", color=color
    )
    name = base.mark_text(align="left", dx=15, color=INK).encode(y="place:Q", text="label:N")
    return alt.layer(thread, name)


def _lines(text: str, size: int, width: float) -> list[str]:
    kept = text.replace(" %", f"{NO_BREAK}%")
    return textwrap.wrap(kept, int(width / (size * LETTER)))
