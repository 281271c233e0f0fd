"""Draws docs/floors.svg: the rooms of the package by floor, and the way of one prompt beside them.

    .venv/bin/python docs/floors.py

The floors are those of [tool.importlinter] in pyproject.toml, and what a room is for is the first
sentence of its `__init__`; a test compares the committed drawing with both.
"""

import ast
import tomllib
from collections.abc import Iterator
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
DRAWING = ROOT / "docs/floors.svg"
WAY = (
    ("config/", "config.yaml, tasks.yaml, models.yaml, tables/", "written by you"),
    ("rule plan", "plan/suites/ruler.json, plan/grid.json, plan/models.json", "study/plan.py"),
    ("rule dataset", "data/nano-base/256/niah_single_1.jsonl", "study/datasets.py, tasks/"),
    ("rule verify_model", "verified/nano-llama.json", "engine/verification.py, models/"),
    ("rule predict", "predictions/nano-llama/ruler/256.jsonl", "engine/predict.py, models/"),
    ("rule score", "scores/nano-llama/ruler/256.parquet", "scores/cells.py, tasks/metrics.py"),
    ("rule table", "tables/table_01.md, .tex, .csv", "report/tables.py, analysis/comparisons.py"),
)
"""What makes a file, the file, and the code behind it."""

LINE, TOP, WIDTH, FLOORS, RIGHT = 34, 70, 1180, 640, 690
STEP = 92


def floors() -> list[list[str]]:
    """The rooms and modules of every floor, from the top."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = settings["tool"]["importlinter"]["contracts"]
    return [[room.strip() for room in layer.split("|")] for layer in contract["layers"]]


def purpose(room: str) -> str:
    """The first sentence of what a room or module says of itself."""
    package = ROOT / "src/needlework" / room
    path = package / "__init__.py" if package.is_dir() else package.with_suffix(".py")
    told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    first = " ".join(told.split("\n\n")[0].split())
    return first.partition(". ")[0].rstrip(".")


def _text(x: int, y: int, text: str, style: str = "") -> str:
    return f'<text x="{x}" y="{y}" {style}>{escape(text)}</text>'


def _box(x: int, y: int, width: int, height: int, style: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="4" {style}/>'


def _house() -> Iterator[str]:
    yield _text(20, 30, "Rooms: each imports only from the floors below it", 'class="title"')
    yield _text(20, 50, "src/needlework/, floors as in pyproject.toml", 'class="small"')
    for index, names in enumerate(floors()):
        y = TOP + index * LINE
        yield _box(20, y, FLOORS, LINE - 6, 'class="floor"')
        yield _text(32, y + 19, " · ".join(names), 'class="room"')
        if len(names) == 1:
            yield _text(150, y + 19, purpose(names[0]), 'class="small"')


def _way() -> Iterator[str]:
    yield _text(RIGHT, 30, "The way of one prompt, from config to table", 'class="title"')
    yield _text(RIGHT, 50, "files lie in results/STUDY/", 'class="small"')
    for index, (maker, files, code) in enumerate(WAY):
        y = TOP + index * STEP
        yield _box(RIGHT, y, WIDTH - RIGHT - 20, STEP - 26, 'class="step"')
        yield _text(RIGHT + 12, y + 18, maker, 'class="room"')
        yield _text(RIGHT + 12, y + 37, files, 'class="file"')
        yield _text(RIGHT + 12, y + 56, code, 'class="small"')
        if index + 1 < len(WAY):
            x = RIGHT + 40
            yield f'<path d="M{x} {y + STEP - 26} v20 m-5 -7 l5 7 l5 -7" class="arrow"/>'


def draw() -> str:
    """The drawing as SVG."""
    height = TOP + max(len(floors()) * LINE, len(WAY) * STEP) + 10
    style = (
        "text{font:13px sans-serif;fill:#1a1a1a} .title{font-weight:bold;font-size:15px}"
        " .room{font-weight:bold} .small{font-size:12px;fill:#555}"
        " .file{font-family:monospace;font-size:12px}"
        " .floor{fill:#eef3f9;stroke:#9db4cc} .step{fill:#fbf3e4;stroke:#cdb07a}"
        " .arrow{fill:none;stroke:#8a7342;stroke-width:1.5}"
    )
    body = "\n".join((*_house(), *_way()))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}">\n'
        f"<style>{style}</style>\n"
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


if __name__ == "__main__":
    DRAWING.write_text(draw(), encoding="utf-8")
