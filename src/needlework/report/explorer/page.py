"""The explorer as a file: the page's own sources around the packed data."""

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from needlework.files import atomic
from needlework.report.explorer.packing import blocks
from needlework.report.explorer.sources import FOLDER, SCRIPTS, SHELL, STYLES
from needlework.report.figure_page import policy
from needlework.study.grid import Grid
from needlework.study.presentation import Shown
from needlework.study.shown import ShownModel

STYLE, SCRIPT, DATA = "/* style */", "/* script */", "<!-- data -->"
POLICY, CODE = "/* policy */", re.compile(r"<script>(.*)</script>", re.DOTALL)
"""Where the shell holds a place for each part; the first block must stand before the script."""


def write_explorer(
    study: Path,
    output: Path,
    *,
    grid: Grid,
    models: Sequence[ShownModel],
    shown: Shown,
    masked: bool = False,
) -> None:
    """Write the explorer of a study's folder as one HTML file that needs nothing else.

    Blocks are written as they are made, so memory holds one of them at a time. `masked` hides the
    letters of prompts, which may be other people's.

    Raises:
        RecordError: a file of the study is damaged, or rows in it do not belong together.
    """
    shell = (FOLDER / SHELL).read_text(encoding="utf-8")
    script = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)
    style = (FOLDER / STYLES).read_text(encoding="utf-8")
    head, middle, tail = shell.replace(STYLE, style).split(DATA)
    middle = middle.replace(SCRIPT, script)
    (code,) = CODE.findall(middle)
    head = head.replace(POLICY, policy(code, styles="'unsafe-inline'"))
    with atomic(output) as temporary, temporary.open("w", encoding="utf-8") as out:
        out.write(head)
        found = blocks(study, grid=grid, models=models, shown=shown, masked=masked)
        for place, block in enumerate(found):
            key = escape(block.key)
            out.write(f'<script type="text/plain" data-key="{key}">{block.packed()}</script>\n')
            if place == 0:
                out.write(middle)
        out.write(tail)
