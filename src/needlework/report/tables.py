"""Tables as files: Markdown and LaTeX from the templates in `reports/templates`, and CSV.

`layout` decides which number stands where, `printing` how it is written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from needlework.files import write_csv, write_text
from needlework.records import Verification
from needlework.report import printing
from needlework.report.layout import Entry, Row, Table, build
from needlework.report.notes import Verified, missing_cells, notes, row_marks
from needlework.report.rendering import p_value, render
from needlework.report.standing import Samples, mark
from needlework.scores.cells import estimated, gathered
from needlework.scores.estimates import Scores
from needlework.scores.remarks import mixed, remarks
from needlework.statistics.means import Estimate
from needlework.study.definitions import TableDefinition
from needlework.study.grid import Grid
from needlework.study.served_records import ServedVerification
from needlework.study.shown import ShownModel

COLUMNS = ("table", "task", "model", "label", "length", "depth", "format")
"""The columns of a CSV table that say what a line is about; the estimate follows."""
MARKS = ("trained", "bold", "p_value", "test", "missing")
"""The columns that say how a number is set off, and why."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """All that tables say something about."""

    scores: Scores
    samples: Samples
    models: Sequence[ShownModel]
    verified: Verified | None = None
    """What is known of the weights; None makes no statement about them."""


def read_measured(
    scores: Sequence[Path],
    *,
    grid: Grid,
    models: Sequence[ShownModel],
    verified: Verified | None,
) -> Measured:
    """What a study measured, from some of its score files.

    Raises:
        RecordError: a file is damaged, or of another study.
    """
    rows = gathered(scores)
    return Measured(
        scores=Scores(estimated(rows), grid),
        samples=Samples(rows, grid, mixed(scores), remarks(scores)),
        models=models,
        verified=verified,
    )


def write_table(
    definition: TableDefinition,
    output: Path,
    measured: Measured,
    *,
    templates: Path,
    intervals: bool = False,
) -> None:
    """Write a table of scores as `output` with the suffixes .md, .tex and .csv.

    With `intervals` every number has its 95 % interval beside or below it.

    Raises:
        RecordError: a cell that the table shows is none of the study.
    """
    table = mark(build(definition, measured.scores, measured.models), measured.samples)
    pages = {
        suffix: render(
            templates / f"table{suffix}.j2",
            table=table,
            notes=notes(table, measured.verified, measured.samples),
            missing=missing_cells(table),
            doubts=[row_marks(row, measured.verified, measured.samples) for row in table.rows],
            columns=list(zip(*(row.entries for row in table.rows), strict=True)),
            printing=printing,
            intervals=intervals,
        )
        for suffix in (".md", ".tex")
    }
    for suffix, page in pages.items():
        write_text(output.with_name(output.name + suffix), page)
    rows = (_line(table, row, entry) for row in table.rows for entry in row.entries)
    columns = [*COLUMNS, *Estimate.model_fields, *MARKS]
    write_csv(output.with_name(f"{output.name}.csv"), rows, columns=columns)


def write_models(
    definition: TableDefinition,
    output: Path,
    *,
    models: Sequence[ShownModel],
    templates: Path,
    verified: Verified | None = None,
) -> None:
    """Write what there is to say of models and their weights, as `output` .md, .tex and .csv."""
    pages = {
        suffix: render(
            templates / f"models{suffix}.j2",
            table=definition,
            models=models,
            verified=verified,
            compared=_compared,
        )
        for suffix in (".md", ".tex")
    }
    served = any(isinstance(each, ServedVerification) for each in (verified or {}).values())
    lines = [model.model_dump() | _verification(model, verified, served) for model in models]
    for suffix, page in pages.items():
        write_text(output.with_name(output.name + suffix), page)
    write_csv(output.with_name(f"{output.name}.csv"), lines)


def _verification(model: ShownModel, verified: Verified | None, served: bool) -> dict[str, Any]:
    """What is known of a model's weights, as columns; none where nothing is to be said.

    Where models are `served`, there are columns for what servers say of themselves.

    Only what is the same on every machine: measured differences change with the processor and stay
    in `verified/`.
    """
    if verified is None:
        return {}
    found = verified.get(model.weights)
    names = ["parameters", "reference", "reason", "dtype", "tokens", "decoded", "tolerance"]
    names += ["server", "reads", "sent", "repeated", "different"] if served else []
    known = {name: getattr(found, name, None) for name in names}
    if any(getattr(each, "quantisation", None) for each in verified.values()):
        known["quantisation"] = getattr(found, "quantisation", None)
    return known | {"passed": ("yes" if found.passed else "no") if found else None}


def _compared(found: Verification | ServedVerification) -> str:
    """How a model was compared with another, in words that are the same on every machine."""
    if isinstance(found, ServedVerification):
        return found.told()
    read = f"{found.tokens:,} tokens"
    read += f" in pieces and {found.decoded} one by one" if found.decoded else " in one pass only"
    if found.tokens < found.needed:
        read += f", fewer than the {found.needed:,} that cross its window and two chunks"
    agree = "agree" if found.passed else "do not agree"
    other = found.reference or "the model itself"
    return (
        f"after {read}, logits {agree} with those of {other} in one pass, within "
        f"{100 * found.tolerance:g} % of the largest, in {found.dtype}"
    )


def _line(table: Table, row: Row, entry: Entry) -> dict[str, Any]:
    estimate = dict.fromkeys(Estimate.model_fields)
    return {
        "table": table.label,
        "task": entry.task,
        "model": row.model.name,
        "label": row.model.label,
        "length": entry.length,
        "depth": entry.depth,
        "format": entry.format,
        **(entry.estimate.model_dump() if entry.estimate else estimate),
        "trained": "yes" if entry.trained else "no",
        "bold": "yes" if entry.best else "no",
        "p_value": p_value(entry.p_value),
        "test": entry.test,
        "missing": " ".join(f"{cell.model}/{cell.suite}/{cell.length}" for cell in entry.missing),
    }
