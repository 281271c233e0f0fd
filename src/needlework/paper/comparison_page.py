"""One table of a study beside the same table as it was published, number by number.

Agreement is decided in `needlework.paper.agreement`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from needlework.errors import StudyError
from needlework.files import write_csv, write_text
from needlework.paper.agreement import Agreement, agreements
from needlework.paper.evidence import Estimates, OfStudy
from needlework.paper.published import Number, read_tables
from needlework.report.rendering import render
from needlework.scores.cells import read_estimates
from needlework.scores.estimates import Scores
from needlework.statistics.contrasts import Interval, interval
from needlework.study.definitions import TableDefinition
from needlework.study.grid import Grid
from needlework.study.shown import ShownModel

CHANCE = 0.05
"""The share of numbers that lie outside where both sides measure the same."""


class Line(NamedTuple):
    """One printed number and what the study says about it."""

    number: Number
    found: Agreement | None
    """None where the study has no such score."""

    @property
    def verdict(self) -> str:
        """Whether the combined interval holds zero; or that nothing can be said."""
        if self.found is None:
            return "not measured"
        return "inside" if self.found.is_inside else "outside"


def write_comparison(
    table: TableDefinition,
    published: Path,
    cells: Path,
    output: Path,
    *,
    grid: Grid,
    models: Sequence[ShownModel],
    samples: int,
    templates: Path,
) -> None:
    """Write a table of the paper, ours and published, as `output` with the suffixes .md and .csv.

    Raises:
        RecordError: published tables or cells cannot be read, or are of another study.
        StudyError: the table is none of the paper's.
    """
    if not table.label.isdecimal():
        raise StudyError(f"{table.name} is not a table of the paper, whose names are table_NUMBER")
    scores = OfStudy(Scores(read_estimates(cells), grid))
    numbers = read_tables(published)
    lines = compared(int(table.label), numbers, scores, models, samples=samples)
    measured = [line for line in lines if line.found is not None]
    page = render(
        templates / "comparison.md.j2",
        number=table.label,
        lines=lines,
        measured=len(measured),
        outside=sum(line.verdict == "outside" for line in measured),
        by_chance=CHANCE * len(measured),
        samples=samples,
        has_depth=any(line.number.depth is not None for line in lines),
        has_format=any(line.number.format for line in lines),
        shown=_shown,
        sides=_sides,
    )
    write_text(output.with_name(output.name + ".md"), page)
    write_csv(output.with_name(output.name + ".csv"), _rows(lines), columns=COLUMNS)


def compared(
    table: int,
    numbers: Sequence[Number],
    scores: Estimates,
    models: Sequence[ShownModel],
    *,
    samples: int,
) -> list[Line]:
    """Every number that a published table prints of the study's models, averages aside."""
    found = {id(one.number): one for one in agreements(numbers, scores, models, samples=samples)}
    names = {model.published_as for model in models}
    return [
        Line(number, found.get(id(number)))
        for number in numbers
        if number.table == table and number.model in names and not number.is_average
    ]


def _sides(found: Agreement) -> tuple[Interval, Interval, Interval]:
    """Ours, published and their difference."""
    return interval(found.ours), interval(found.published), found.difference


def _shown(found: Interval, digits: int = 2) -> str:
    """A share with its interval, in percent."""
    value, low, high = (100 * part for part in found)
    return f"{value:.{digits}f} [{low:.1f}, {high:.1f}]"


PLACE = ("table", "task", "model", "label", "length", "depth", "format")
COLUMNS = (
    *PLACE,
    *(f"{side}{end}" for side in ("ours", "published") for end in ("", "_low", "_high")),
    "difference",
    "difference_low",
    "difference_high",
    "count",
    "verdict",
    "place",
)


def _rows(lines: Sequence[Line]) -> Iterator[dict[str, Any]]:
    """One row a number, in percent."""
    for line in lines:
        number, found = line
        row: dict[str, Any] = {
            **{name: getattr(number, name) for name in PLACE},
            "published": number.printed,
            "verdict": line.verdict,
            "place": number.place,
        }
        if found is not None:
            for side, part in zip(("ours", "published", "difference"), _sides(found), strict=True):
                ends = zip(("", "_low", "_high"), part, strict=True)
                row |= {f"{side}{end}": f"{100 * value:.2f}" for end, value in ends}
            row |= {"published": number.printed, "count": found.ours.count}
        yield row
