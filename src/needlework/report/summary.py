"""The short report of a study: what was asked, the answer in two pictures, and where the rest is.

Knows which files a study leaves; does not compute scores.
"""

from pathlib import Path
from typing import NamedTuple

import polars as pl

from needlework.cells import read_parquet
from needlework.files import write_text
from needlework.report.rendering import render
from needlework.study import PAPER, Study

SHOWN = ("01", "02", "03", "05")
"""Tables that the report quotes; it links to the others."""


class Cost(NamedTuple):
    """What the predictions of a study took."""

    samples: int
    failed: int
    prompt_tokens: int
    shared: float
    """Share of the prompt tokens whose computation another sample of the cell paid for."""
    generated_tokens: int


def write_report(study: Study, folder: Path, *, scores: Path, template: Path) -> None:
    """Write `folder/report.md` from the study's scores and the tables in `folder/tables`.

    Raises:
        RecordError: the score file is damaged.
    """
    tables = sorted((folder / "tables").glob("table_*.md"))
    compared = {path.stem[-2:] for path in (folder / "tables").glob("comparison_*.md")}
    paper = study.tables == PAPER
    shown = [
        path.read_text(encoding="utf-8") for path in tables if not paper or path.stem[-2:] in SHOWN
    ]
    text = render(
        template,
        study=study,
        cost=_cost(read_parquet(scores)),
        shown=shown,
        paper=paper,
        links=[f"tables/{path.stem}" for path in tables],
        compared=compared,
    )
    write_text(folder / "report.md", text)


def _cost(scores: pl.DataFrame) -> Cost:
    total = scores.select("prompt_tokens", "shared_tokens", "generated_tokens").sum().row(0)
    prompt, shared, generated = total
    return Cost(
        samples=scores.height,
        failed=scores["error"].count(),
        prompt_tokens=prompt,
        shared=shared / prompt,
        generated_tokens=generated,
    )
