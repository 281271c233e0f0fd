"""The nine claims with their verdicts as a page, and every statistic behind them as CSV.

Claims and their verdicts come from `needlework.paper.claims`. Where a second witness was heard, its
verdict stands under the first, and a column of the CSV file says whose each statistic is.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from needlework.defects import StudyHazard
from needlework.files import write_csv, write_text
from needlework.paper.claims import Result
from needlework.paper.length_tests import FALL
from needlework.paper.verdicts import Statistic, Verdict
from needlework.report.rendering import render
from needlework.report.writing import Written, code, markdown
from needlework.study.definitions import label
from needlework.study.shown import PublishedModel, ShownModel

SCALES = {"points": 100.0, "points per doubling": 100.0, "ratio": 1.0}
OF_DEPTHS: frozenset[StudyHazard] = frozenset({"uuid-numbers", "format-mix"})
"""Defects that touch the depth suite alone."""
IN_ADDRESS = "/+._-~"
"""Characters of names and their separators that an address needs no other form of."""
OF_PAPER: Mapping[Verdict, str] = {
    "supported": "supported",
    "contradicted": "contradicted",
    "undecided": "undecided",
    "untestable": "cannot be tested here",
}
OF_STUDY: Mapping[Verdict, str] = {
    **OF_PAPER,
    "contradicted": "does not hold for these models",
}
"""What a verdict is called, of a claim and of each of its statistics: the models of a study
contradict no sentence about others."""
COLUMNS = (
    "claim",
    "verdict",
    "subject",
    "quantity",
    "unit",
    "value",
    "low",
    "high",
    "says",
    "decides",
    "defects",
    "cells",
)
WITNESSES = ("exact match", "likelihood")
"""What the CSV file calls both witnesses."""


def write_claims(
    results: Sequence[Result],
    output: Path,
    *,
    models: Sequence[ShownModel],
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
    words = OF_STUDY if inferred is None else OF_PAPER
    defects = {each.name: each.hazards for each in models if isinstance(each, PublishedModel)}
    page = render(
        templates / "claims.md.j2",
        results=results,
        inferred=inferred,
        shown=_shown,
        words=words,
        falls=_falls,
        defects=lambda statistic: ", ".join(_defects(statistic, defects)),
        has_defects=any(defects.values()),
        has_second=any(result.second for result in results),
        told=lambda result: words[result.verdict] if result.verdict else "not measured",
        sources=lambda result: _sources(result, explorer),
        tables=lambda claim: _tables(tables.get(claim.id, ()), files),
    )
    write_text(output.with_suffix(".md"), page)
    rows = _rows(results, words, defects)
    if not any(result.second for result in results):
        write_csv(output.with_suffix(".csv"), rows, columns=COLUMNS)
        return
    seconds = [result.second for result in results if result.second]
    heard = zip(WITNESSES, (rows, _rows(seconds, words, defects)), strict=True)
    write_csv(
        output.with_suffix(".csv"),
        ({"witness": name} | row for name, found in heard for row in found),
        columns=("witness", *COLUMNS),
    )


class _Falls(NamedTuple):
    """The falls from 1x to 2x: how many are steep, are not and are undecided; and in points the
    limit that all of them exceed, and that from which on some do not."""

    steep: int
    mild: int
    undecided: int
    up_to: float
    from_on: float


def _falls(result: Result) -> _Falls | None:
    """The falls of a claim's models at twice their length; None of claims without them."""
    falls = [each for each in result.statistics if each.quantity.endswith(FALL)]
    if not falls:
        return None
    said = [each.verdict for each in falls]
    return _Falls(
        steep=said.count("supported"),
        mild=said.count("contradicted"),
        undecided=len(said) - said.count("supported") - said.count("contradicted"),
        up_to=max(0.0, min(-100 * each.interval.high for each in falls)),
        from_on=min(-100 * each.interval.low for each in falls),
    )


def _defects(statistic: Statistic, known: Mapping[str, Sequence[StudyHazard]]) -> list[StudyHazard]:
    """The known defects behind a statistic, those of all of its models that touch its suite."""
    found = (
        defect
        for model, suite, *_ in (cell.split("/") for cell in statistic.cells)
        for defect in known.get(model, ())
        if suite == "depth" or defect not in OF_DEPTHS
    )
    return list(dict.fromkeys(found))


def _shown(statistic: Statistic) -> str:
    """A statistic with its interval, in its unit."""
    digits = 1 if SCALES[statistic.unit] > 1 else 2
    value, low, high = (
        f"{SCALES[statistic.unit] * number:.{digits}f}" for number in statistic.interval
    )
    unit = "" if statistic.unit == "ratio" else f" {statistic.unit}"
    return f"{value} [{low}, {high}]{unit}"


def _sources(result: Result, explorer: str | None) -> Written:
    """The cells behind a claim, by model and suite."""
    cells = dict.fromkeys(
        "/".join(cell.split("/")[:2]) for each in result.statistics for cell in each.cells
    )
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


def _rows(
    results: Sequence[Result],
    words: Mapping[Verdict, str],
    defects: Mapping[str, Sequence[StudyHazard]],
) -> Iterator[dict[str, Any]]:
    for result in results:
        for statistic in result.statistics:
            value, low, high = statistic.interval
            scale = SCALES[statistic.unit]
            yield {
                "claim": result.claim.id,
                "verdict": words[result.verdict] if result.verdict else "not measured",
                "subject": statistic.subject,
                "quantity": statistic.quantity,
                "unit": statistic.unit,
                "value": round(scale * value, 6),
                "low": round(scale * low, 6),
                "high": round(scale * high, 6),
                "says": words[statistic.verdict],
                "decides": "no" if statistic.beside else "yes",
                "defects": " ".join(_defects(statistic, defects)),
                "cells": " ".join(statistic.cells),
            }
