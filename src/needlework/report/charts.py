"""The common style of all figures, and the four files of each."""

import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from needlework.files import atomic
from needlework.report import figure_page
from needlework.report.composition import INK, LARGE, PLAIN, SMALL, length_legend

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#000000", "#8C6D31", "#56B4E9")
"""Okabe and Ito's palette (https://jfly.uni-koeln.de/color/), brown in place of its yellow, which
is lost on paper, and its second blue last. Where two of them look alike to some readers, or in
grey, dashes and shapes differ."""
DASHES = ((1, 0), (6, 2), (2, 2), (8, 2, 2, 2), (10, 4))
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right")
"""As many as share no factor with the number of colours or dashes: no two models look alike."""

LENGTHS = ("#fde725", "#a0da39", "#4ac16d", "#1fa187", "#277f8e", "#365c8d", "#46327e", "#440154")
"""Viridis from light to dark: the longer the context, the darker."""

FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
"""The first one comes with vl-convert, so that text is as wide on every machine."""
NO_FONTS = "<fontconfig><dir>/nonexistent</dir></fontconfig>"
"""What fontconfig would read on a machine without any font."""
PIXELS_PER_POINT = 2
SUFFIXES = (".svg", ".png", ".pdf", ".html")
"""For pages, for screens, for print, and with values under the pointer."""
STYLE = {
    "font": FONT,
    "background": "white",
    "axis": alt.AxisConfig(
        gridColor="#e4e4e4",
        labelFlush=False,
        labelFontSize=SMALL,
        tickSize=3,
        titleFontSize=PLAIN,
        titleFontWeight="normal",
    ),
    "header": alt.HeaderConfig(
        labelFontSize=PLAIN, titleFontSize=PLAIN, titleFontWeight="normal", titlePadding=4
    ),
    "legend": alt.LegendConfig(
        labelFontSize=SMALL,
        offset=4,
        symbolSize=45,
        titleFontSize=SMALL,
        titleFontWeight="normal",
    ),
    "text": alt.MarkConfig(fontSize=SMALL),
    "title": alt.TitleConfig(
        anchor="start",
        fontSize=LARGE,
        fontWeight="normal",
        offset=10,
        subtitleColor=INK,
        subtitleFontSize=SMALL,
        subtitlePadding=3,
    ),
}
"""One weight of one font throughout: a PDF with two lists them in a random order."""
SIZE = re.compile(r'(<svg [^>]*?width="[\d.]+)(?:pt)?(" height="[\d.]+)(?:pt)?"')
"""The size of a drawing, with its unit or without."""
GRADIENT = re.compile(r"\bgradient_\d+")
REFERENCES = re.compile(rb"(?:^ *+/\w++ \d++ 0 R\n)+", re.MULTILINE)
"""Lines of a PDF dictionary that name other objects."""
VEGA_LITE = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])


def save(chart: alt.TopLevelMixin, stem: Path) -> None:
    """Write a chart as `stem` with each of SUFFIXES; equal charts give equal bytes.

    Drawings are as large in print as `composition` says. The HTML file holds all that it needs and
    asks no network for anything.
    """
    spec = chart.configure(**STYLE).to_dict()
    with _own_fonts():
        drawn = _numbered(vl_convert.vegalite_to_svg(spec, VEGA_LITE))
    svg = SIZE.sub(r'\1pt\2pt"', drawn, count=1)
    page = figure_page.page(spec, title=stem.name.replace("_", " "), version=VEGA_LITE)
    made = {".svg": svg.encode(), ".html": page.encode(), **pictures(svg)}
    for suffix in SUFFIXES:
        with atomic(stem.with_name(stem.name + suffix)) as temporary:
            temporary.write_bytes(made[suffix])


def pictures(svg: str) -> dict[str, bytes]:
    """What a screen (.png) and a printer (.pdf) are given of a drawing."""
    plain = SIZE.sub(r'\1\2"', svg, count=1)  # The converters take a point for a pixel of a screen.
    with _own_fonts():
        return {
            ".png": vl_convert.svg_to_png(plain, scale=PIXELS_PER_POINT),
            ".pdf": _ordered(vl_convert.svg_to_pdf(plain)),
        }


def looks(labels: Sequence[str], *, legend: bool = False) -> Mapping[str, Any]:
    """Encodings by `label` that keep any number of models apart: `color`, `strokeDash`, `shape`.

    Lines take the first two, points the first and last, and so does the one legend, for figures
    that cannot write names beside what they draw.
    """

    def scale(values: Sequence[object]) -> alt.Scale:
        chosen = [values[place % len(values)] for place in range(len(labels))]
        return alt.Scale(domain=list(labels), range=chosen)

    shown = alt.Legend(orient="top", columns=4, symbolOpacity=1) if legend else None
    return {
        "color": alt.Color("label:N", title=None, scale=scale(COLOURS), legend=shown),
        "strokeDash": alt.StrokeDash("label:N", scale=scale(list(map(list, DASHES))), legend=None),
        "shape": alt.Shape("label:N", title=None, scale=scale(SHAPES), legend=shown),
    }


def shades(count: int) -> list[str]:
    """As many of LENGTHS, as far apart as they can be, the last the darkest; many begin anew.

    The two lightest, which are hard to see on paper, are left out where few are needed.
    """
    last, first = len(LENGTHS) - 1, 2
    if count > len(LENGTHS) - first:
        return [LENGTHS[each % len(LENGTHS)] for each in range(count)]
    step = (last - first) / max(1, count - 1)
    return [LENGTHS[round(last - step * (count - 1 - each))] for each in range(count)]


def length_colour(lengths: Sequence[str]) -> alt.Color:
    """The colour of lines by `length`, in tokens as text, with a legend above the panels."""
    return alt.Color(
        "length:N",
        sort=list(lengths),
        scale=alt.Scale(domain=list(lengths), range=shades(len(lengths))),
        legend=length_legend("context length"),
    )


def spoken(suite: str) -> str:
    """What a suite is called in titles: RULER by the name of its benchmark."""
    return "RULER" if suite == "ruler" else suite


def estimate_tips(*fields: str) -> list[alt.Tooltip]:
    """What the pointer shows: the named fields, then the `mean` with its interval and count."""
    return [
        *(alt.Tooltip(field) for field in fields),
        alt.Tooltip("mean:Q", title="score (%)", format=".2f"),
        alt.Tooltip("low:Q", title="95 % interval from", format=".2f"),
        alt.Tooltip("high:Q", title="to", format=".2f"),
        alt.Tooltip("count:Q", title="samples"),
    ]


@contextmanager
def _own_fonts() -> Iterator[None]:
    """Within, vl-convert draws with the fonts that it brings and never with those of the machine.

    Another edition of the same font, or none, once gave a reviewer's machine other bytes. Letters
    that these fonts lack (they have Latin, Greek and Cyrillic) are in .svg and .html files alone.
    """
    before = os.environ.get("FONTCONFIG_FILE")
    with tempfile.NamedTemporaryFile("w", suffix=".conf", encoding="utf-8") as file:
        file.write(NO_FONTS)
        file.flush()
        os.environ["FONTCONFIG_FILE"] = file.name
        try:
            yield
        finally:
            if before is None:
                del os.environ["FONTCONFIG_FILE"]
            else:
                os.environ["FONTCONFIG_FILE"] = before


def _numbered(svg: str) -> str:
    """The same picture with its gradients counted from 0; Vega counts through all it has drawn."""
    known: dict[str, str] = {}
    return GRADIENT.sub(lambda name: known.setdefault(name[0], f"gradient_{len(known)}"), svg)


def _ordered(pdf: bytes) -> bytes:
    """The same document with its dictionaries in order; svg2pdf writes them in a random one.

    Lines change places within a dictionary only, so every object stays at its address.
    """

    def ordered(lines: re.Match[bytes]) -> bytes:
        return b"".join(sorted(lines[0].splitlines(keepends=True)))

    return REFERENCES.sub(ordered, pdf)
