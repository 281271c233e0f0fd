"""Published tables as exact numbers: CSV files with one line per row of a printed table.

A file has the columns table, model and label, then either task, and one column per context length,
or length (perhaps format, too), and one column per needle depth; and perhaps an average. A number
in bold stands between two pairs of asterisks, as in `**99.2**`. Tables are numbered as where they
were published; one with tasks is about one of them, or about `ruler`, the mean over all.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path

from needlework.door import opens, shown
from needlework.errors import RecordError
from needlework.study.paper import FORMATS, TASKS

AVERAGE = "average"
OVERALL, DEPTH = "ruler", "depth"
REQUIRED = ("table", "model", "label")
OPTIONAL = ("task", "length", "format")
PRINTED = re.compile(
    r"(?P<bold>\*\*)?(?P<number>-?\d{1,9}(?:\.(?P<decimals>\d{1,9}))?)(?(bold)\*\*)"
)
WHOLE = re.compile(r"\d{1,9}", re.ASCII)
NAMES = {"task": (OVERALL, *TASKS), "format": FORMATS}
"""What may stand in columns of names."""
COMMON = Fraction(1, 3)
"""When more than this share of a table's numbers show so many decimals, all of them had as many."""


@dataclass(frozen=True, kw_only=True)
class Number:
    """One printed number and where it stands."""

    table: int
    task: str
    """`ruler` (the mean over its tasks), one task, or `depth`."""
    model: str
    label: str
    length: int | None
    """Context length in tokens; None for an average over lengths."""
    depth: int | None
    """Needle depth in percent; None for tasks, and for an average over depths."""
    format: str
    """Needle format; empty where the number is a mean over formats or has none."""
    value: Fraction
    """In percent, exactly as printed."""
    decimals: int
    """Its own, or those of its table: a zero at the end is often left out."""
    bold: bool
    is_average: bool
    place: str
    """File and line, for messages."""

    @property
    def half_unit(self) -> Fraction:
        """How far rounding can have moved the number, in percent."""
        return Fraction(1, 2 * 10**self.decimals)

    @property
    def printed(self) -> str:
        """The number with the decimals of its table."""
        return f"{float(self.value):.{self.decimals}f}"

    @property
    def row(self) -> tuple[int, str, str, int | None, str]:
        """What the numbers of one printed row have in common."""
        length = self.length if self.task == DEPTH else None
        return self.table, self.task, self.model, length, self.format


def read_tables(folder: Path) -> list[Number]:
    """Every number of the CSV files in a folder, in the order of file names, lines and columns.

    Raises:
        RecordError: there is no CSV file, or one has missing columns, no row, an unknown name, text
            in place of a number or a row twice; names file and line.
    """
    paths = sorted(folder.glob("*.csv"))
    if not paths:
        raise RecordError(f"{folder}: no .csv file; name a folder of published tables")
    numbers = list(chain.from_iterable(map(_read_file, paths)))
    _check_tasks(numbers)
    _check_rows(numbers)
    return numbers


@opens("a CSV file in UTF-8", "table.csv", error=RecordError, way_out="correct it")
def _read_file(path: Path) -> list[Number]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        columns = _columns(path, reader.fieldnames or ())
        lines = [(reader.line_num, _complete(path, reader, line)) for line in reader]
    if not lines:
        raise RecordError(
            f"{path}: no row below the names of the columns; add one or drop the file"
        )
    decimals = _decimals(path, lines, columns)
    return list(chain.from_iterable(_numbers(path, *line, columns, decimals) for line in lines))


def _complete(path: Path, reader: "csv.DictReader[str]", line: dict[str, str]) -> dict[str, str]:
    """The line, if it has no number without a column and no unknown name."""
    place = f"{path}:{reader.line_num}"
    if len(line) > len(reader.fieldnames or ()):
        raise RecordError(f"{place}: more numbers than columns; correct the row")
    for column, known in NAMES.items():
        if column in line and line[column] not in known:
            raise RecordError(
                f"{place}: {column}: {shown(line[column])} is unknown; expected {', '.join(known)}"
            )
    return line


def _columns(path: Path, names: Sequence[str]) -> list[str]:
    """The columns of a file that hold numbers."""
    found = [name for name in names if name not in REQUIRED + OPTIONAL]
    strange = [name for name in found if not WHOLE.fullmatch(name) and name != AVERAGE]
    missing = [name for name in REQUIRED if name not in names]
    missing += [] if {"task", "length"} & set(names) else ["task"]
    missing += [] if set(found) - {AVERAGE} else ["1024"]
    problems = [f"column {shown(name)} twice" for name in names if names.count(name) > 1]
    problems += [f"column {shown(name)}" for name in strange]
    problems += [f"no column {name!r}" for name in missing]
    if problems:
        raise RecordError(
            f"{path}: {problems[0]}; expected {', '.join(REQUIRED)}, then task (or length, perhaps "
            f"format), then lengths (or depths), perhaps {AVERAGE}"
        )
    return found


def _decimals(
    path: Path, lines: Sequence[tuple[int, Mapping[str, str]]], columns: Sequence[str]
) -> dict[tuple[str, bool], int]:
    """How many decimals each table and its averages had before zeros at the end were dropped."""
    shown: dict[tuple[str, bool], list[str]] = {}
    for number, line in lines:
        for column in columns:
            found = _match(path, number, line, column)["number"]
            shown.setdefault((line["table"], column == AVERAGE), []).append(found)
    return {table: _printed_with(numbers) for table, numbers in shown.items()}


def _printed_with(numbers: Sequence[str]) -> int:
    """The decimals that many of these numbers show; 0 where they have none in common.

    Where zeros at the end were left out, most numbers still have all their decimals; 0 and 100
    never. One number with more of them is no measure for the others, and one with a zero at the end
    (`60.0` apart, which is how programs write 60) shows that none was left out.
    """
    ends = [number.partition(".")[2] for number in numbers if float(number) not in (0, 100)]
    if any(len(end) > 1 and end.endswith("0") for end in ends):
        return 0
    lengths = sorted(map(len, ends), reverse=True)
    return lengths[int(COMMON * len(lengths))] if lengths else 0


def _match(path: Path, number: int, line: Mapping[str, str], column: str) -> re.Match[str]:
    found = PRINTED.fullmatch((line[column] or "").strip())
    if found is None:
        raise RecordError(
            f"{path}:{number}: {column}: {shown(line[column])} is not a number; correct or drop "
            "the row"
        )
    return found


def _numbers(
    path: Path,
    number: int,
    line: Mapping[str, str],
    columns: Sequence[str],
    decimals: Mapping[tuple[str, bool], int],
) -> Iterator[Number]:
    """The numbers of one line."""
    fixed = _whole(path, number, line, "length") if "length" in line else None
    for column in columns:
        found = _match(path, number, line, column)
        at = None if column == AVERAGE else int(column)
        yield Number(
            table=_whole(path, number, line, "table"),
            task=line.get("task") or DEPTH,
            model=line["model"],
            label=line["label"],
            length=at if fixed is None else fixed,
            depth=None if fixed is None else at,
            format=line.get("format") or "",
            value=Fraction(found["number"]),
            decimals=max(len(found["decimals"] or ""), decimals[line["table"], column == AVERAGE]),
            bold=found["bold"] is not None,
            is_average=column == AVERAGE,
            place=f"{path.name}:{number}",
        )


def _whole(path: Path, number: int, line: Mapping[str, str], column: str) -> int:
    if not WHOLE.fullmatch(line[column] or ""):
        raise RecordError(f"{path}:{number}: {column}: {shown(line[column])} is not a whole number")
    return int(line[column])


def _check_rows(numbers: Sequence[Number]) -> None:
    """No row of a table is given twice."""
    seen: dict[tuple[object, ...], str] = {}
    for number in numbers:
        first = seen.setdefault(number.row, number.place)
        if first != number.place:
            raise RecordError(
                f"{number.place}: the same row as {first} (table {number.table}, {number.label}); "
                "drop one"
            )


def _check_tasks(numbers: Sequence[Number]) -> None:
    """A table is about one task, and a task is in one table; needles by depth may be in many."""
    tables: dict[int, Number] = {}
    tasks: dict[str, Number] = {}
    for number in numbers:
        others = [tables.setdefault(number.table, number)]
        others += [tasks.setdefault(number.task, number)] if number.task != DEPTH else []
        for other in others:
            if (other.table, other.task) != (number.table, number.task):
                raise RecordError(
                    f"{number.place}: Table {number.table} is about {number.task}, but Table "
                    f"{other.table} in {other.place} about {other.task}; mend one"
                )
