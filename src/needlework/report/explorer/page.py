"""The explorer as a file: the page's own sources around the packed data.

Knows how blocks stand in the page; does not know what is in them.
"""

import hashlib
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from needlework.files import atomic
from needlework.report.explorer.packing import blocks
from needlework.report.figure_page import policy
from needlework.study.config import Grid, ShownModel
from needlework.study.definitions import TableDefinition

SOURCES = Path(__file__).parent
SHELL, STYLES = "explorer.html", "explorer.css"
SCRIPTS = (
    "data.js",
    "route.js",
    "elements.js",
    "tables.js",
    "cells.js",
    "samples.js",
    "sample.js",
    "missing.js",
    "app.js",
)
STYLE, SCRIPT, DATA = "/* style */", "/* script */", "<!-- data -->"
POLICY, CODE = "/* policy */", re.compile(r"<script>(.*)</script>", re.DOTALL)
"""Where the shell holds a place for each part; the first block must stand before the script."""


def fingerprint() -> str:
    """Sixteen hexadecimal digits over the page's own sources: a change renders it again."""
    total = hashlib.sha256()
    for name in (SHELL, STYLES, *SCRIPTS):
        total.update((SOURCES / name).read_bytes() + b"\0")
    return total.hexdigest()[:16]


def write_explorer(
    study: Path,
    output: Path,
    *,
    grid: Grid,
    models: Sequence[ShownModel],
    tables: Sequence[TableDefinition],
) -> None:
    """Write the explorer of a study's folder as one HTML file that needs nothing else.

    Blocks are written as they are made, so memory holds one of them at a time.

    Raises:
        RecordError: a file of the study is damaged, or rows in it do not belong together.
    """
    shell = (SOURCES / SHELL).read_text(encoding="utf-8")
    script = "\n".join((SOURCES / name).read_text(encoding="utf-8") for name in SCRIPTS)
    style = (SOURCES / STYLES).read_text(encoding="utf-8")
    head, middle, tail = shell.replace(STYLE, style).split(DATA)
    middle = middle.replace(SCRIPT, script)
    (code,) = CODE.findall(middle)
    head = head.replace(POLICY, policy(code, styles="'unsafe-inline'"))
    with atomic(output) as temporary, temporary.open("w", encoding="utf-8") as out:
        out.write(head)
        for place, block in enumerate(blocks(study, grid=grid, models=models, tables=tables)):
            key = escape(block.key)
            out.write(f'<script type="text/plain" data-key="{key}">{block.packed()}</script>\n')
            if place == 0:
                out.write(middle)
        out.write(tail)
