"""Tables as files: Markdown and LaTeX from the templates in `reports/templates`, and CSV.

Knows how a number is printed; which number stands where is the business of `layout`.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from needlework.cells import read_estimates
from needlework.errors import StudyError
from needlework.files import write_text
from needlework.paper import MODELS_TABLE, NUMBERS
from needlework.report.layout import Scores, Table, build
from needlework.report.rendering import render
from needlework.statistics import Estimate
from needlework.study import ShownModel

COLUMNS = ("table", "task", "model", "label", "length", "depth", "format")
"""The columns of a CSV table that say what a line is about; the estimate follows."""


def write_table(
    number: int, cells: Path, output: Path, *, models: Sequence[ShownModel], templates: Path
) -> None:
    """Write a table of estimates as `output` with the suffixes .md, .tex and .csv.

    Raises:
        RecordError: a cell that the table shows is missing.
        StudyError: there is no table of that number.
    """
    if number not in NUMBERS or number == MODELS_TABLE:
        raise StudyError(f"there is no table {number} of scores; choose 1 to 4 or 6 to 18")
    table = build(number, Scores(read_estimates(cells)), models)
    for suffix, name in ((".md", "table.md.j2"), (".tex", "table.tex.j2")):
        write_text(
            output.with_suffix(suffix), render(templates / name, table=table, notes=notes(table))
        )
    write_text(output.with_suffix(".csv"), _csv(table))


def write_models(output: Path, *, models: Sequence[ShownModel], templates: Path) -> None:
    """Write Table 5, the models and where their weights are, as `output` .md, .tex and .csv."""
    for suffix, name in ((".md", "models.md.j2"), (".tex", "models.tex.j2")):
        write_text(output.with_suffix(suffix), render(templates / name, models=models))
    lines = [model.model_dump() for model in models]
    write_text(output.with_suffix(".csv"), _lines(list(ShownModel.model_fields), lines))


def notes(table: Table) -> list[str]:
    """What stands below a table: what it rests on, and what failed."""
    entries = [entry for row in table.rows for entry in row.entries]
    counts = [entry.estimate.count for entry in entries if not entry.is_average]
    widest = max(entry.estimate.high - entry.estimate.low for entry in entries) / 2
    return [
        f"Scores in percent; each but the averages rests on {_range(counts)} samples. 95 % "
        f"intervals are at most {100 * widest:.1f} points to a side and stand in the CSV file.",
        *_failures(table),
    ]


def _failures(table: Table) -> Iterator[str]:
    """One line per row with samples that got no answer."""
    for row in table.rows:
        parts = [entry.estimate for entry in row.entries if not entry.is_average]
        failed = sum(part.failed for part in parts)
        if failed:
            count = sum(part.count for part in parts)
            yield f"{' '.join(row.heads)}: {failed} of {count} samples failed and score zero."


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"


def _csv(table: Table) -> str:
    lines = [
        {
            "table": table.number,
            "task": entry.task,
            "model": row.model.name,
            "label": row.model.label,
            "length": entry.length,
            "depth": entry.depth,
            "format": entry.format,
            **entry.estimate.model_dump(),
        }
        for row in table.rows
        for entry in row.entries
    ]
    return _lines([*COLUMNS, *Estimate.model_fields], lines)


def _lines(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
