"""The page about an audit, for readers who have never heard of one, and its findings as CSV.

Findings are made in `needlework.paper.audit`.
"""

from dataclasses import asdict, fields
from pathlib import Path

from needlework.files import write_csv, write_text
from needlework.paper.audit import Audit, Finding
from needlework.report.rendering import render

TITLES = {
    "granularity": "Numbers that no such number of samples can give",
    "average": "Averages that are not the mean of their row",
    "identity": "Numbers that are not the mean of what they sum up",
    "range": "Numbers outside 0 to 100",
    "bold": "Best numbers marked wrongly",
    "format-mix": "Columns that look like one needle format in place of three",
}
"""What each check is called, in the order of the page."""


def write_audit(result: Audit, output: Path, *, samples: int, templates: Path) -> None:
    """Write an audit as `output` with the suffixes .md and .csv.

    Raises:
        StudyError: the template is missing.
    """
    page = render(templates / "audit.md.j2", audit=result, samples=samples, titles=TITLES)
    write_text(output.with_suffix(".md"), page)
    names = [field.name for field in fields(Finding)]
    write_csv(output.with_suffix(".csv"), map(asdict, result.findings), columns=names)
