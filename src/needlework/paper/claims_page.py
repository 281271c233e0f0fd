"""The nine claims with their verdicts as a page, and every statistic behind them as CSV.

Claims and their verdicts come from `needlework.paper.claims`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from needlework.files import write_csv, write_text
from needlework.paper.claims import Result
from needlework.paper.verdicts import Statistic
from needlework.report.rendering import render
from needlework.report.writing import Written, code, markdown
from needlework.study.definitions import label

SCALES = {"points": 100.0, "points per doubling": 100.0, "ratio": 1.0}
IN_ADDRESS = "/+._-~"
"""Characters of names and their separators that an address needs no other form of."""
SAYS = {"supported": "yes", "contradicted": "no", "undecided": "unclear"}
COLUMNS = (
    "claim",
    "verdict",
    "subject",
    "quantity",
    "unit",
    "value",
    "low",
    "high",
    "holds",
    "cells",
)


def write_claims(
    results: Sequence[Result],
    output: Path,
    *,
    tables: Mapping[str, Sequence[str]],
    files: Collection[str],
    templates: Path,
    inferred: int | None,
    explorer: str | None,
) -> None:
    """Write the verdicts as `output` with the suffixes .md and .csv.

    `tables` has the names of those that show the numbers of each claim, `files` of those that the
    study has made, to which links lead. `inferred` is the number of samples from which intervals
    were inferred, None where they come from the samples themselves; `explorer` is where links to
    cells lead, in the folder of the study's tables; without it they are named.

    Raises:
        StudyError: the template is missing.
    """
    page = render(
        templates / "claims.md.j2",
        results=results,
        inferred=inferred,
        shown=_shown,
        says=SAYS,
        sources=lambda statistic: _sources(statistic, explorer),
        tables=lambda claim: _tables(tables.get(claim.id, ()), files),
    )
    write_text(output.with_suffix(".md"), page)
    write_csv(output.with_suffix(".csv"), _rows(results), columns=COLUMNS)


def _shown(statistic: Statistic) -> str:
    """A statistic with its interval, in its unit."""
    digits = 1 if SCALES[statistic.unit] > 1 else 2
    value, low, high = (
        f"{SCALES[statistic.unit] * number:.{digits}f}" for number in statistic.interval
    )
    unit = "" if statistic.unit == "ratio" else f" {statistic.unit}"
    return f"{value} [{low}, {high}]{unit}"


def _sources(statistic: Statistic, explorer: str | None) -> Written:
    """The cells behind a statistic, by model, suite and length."""
    cells = dict.fromkeys("/".join(cell.split("/")[:3]) for cell in statistic.cells)
    told = (
        f"[{markdown(cell)}]({explorer}#{quote(cell, safe=IN_ADDRESS)})" if explorer else code(cell)
        for cell in cells
    )
    return Written(", ".join(told))


def _tables(names: Sequence[str], files: Collection[str]) -> Written:
    """The tables that show a claim's numbers: those of the study as files, or the paper's."""
    shown = {name: f"Table {label(name)}" for name in names}
    told = (
        f"[{text}](tables/{name}.md)" if name in files else text for name, text in shown.items()
    )
    return Written(", ".join(told))


def _rows(results: Sequence[Result]) -> Iterator[dict[str, Any]]:
    for result in results:
        for statistic in result.statistics:
            yield {
                "claim": result.claim.id,
                "verdict": result.verdict,
                "subject": statistic.subject,
                "quantity": statistic.quantity,
                "unit": statistic.unit,
                **{
                    name: round(SCALES[statistic.unit] * value, 6)
                    for name, value in statistic.interval._asdict().items()
                },
                "holds": SAYS[statistic.verdict],
                "cells": " ".join(statistic.cells),
            }
