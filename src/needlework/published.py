"""Published tables as exact numbers: CSV files with one line per row of a printed table.

Knows the columns of such files and how a printed number is read; does not know what the numbers
mean. A file has the columns table, model and label, may have task, length and format, and then one
column per context length (tables of tasks) or needle depth (tables with a length), and an average.
A number printed in bold stands between two pairs of asterisks, as in `**99.2**`.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path

from needlework.errors import RecordError

AVERAGE = "average"
REQUIRED = ("table", "model", "label")
OPTIONAL = ("task", "length", "format")
PRINTED = re.compile(r"(?P<bold>\*\*)?(?P<number>-?\d+(?:\.(?P<decimals>\d+))?)(?(bold)\*\*)")


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
    """Most decimals of any number in its table: a zero at the end is often not printed."""
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
        length = self.length if self.task == "depth" else None
        return self.table, self.task, self.model, length, self.format


def read_tables(folder: Path) -> list[Number]:
    """Every number of the CSV files in a folder, in the order of file names, lines and columns.

    Raises:
        RecordError: there is no CSV file, or one has missing columns, text in place of a number or
            a row twice; names file and line.
    """
    paths = sorted(folder.glob("*.csv"))
    if not paths:
        raise RecordError(f"{folder}: no .csv file; name a folder of published tables")
    numbers = list(chain.from_iterable(map(_read_file, paths)))
    _check_rows(numbers)
    return numbers


def _read_file(path: Path) -> list[Number]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            columns = _columns(path, reader.fieldnames or ())
            lines = [(reader.line_num, _complete(path, reader, line)) for line in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise RecordError(f"{path}: {error}; expected a CSV file in UTF-8") from error
    decimals = _decimals(path, lines, columns)
    return list(chain.from_iterable(_numbers(path, *line, columns, decimals) for line in lines))


def _complete(path: Path, reader: "csv.DictReader[str]", line: dict[str, str]) -> dict[str, str]:
    """The line, if it has no number without a column."""
    if len(line) > len(reader.fieldnames or ()):
        raise RecordError(f"{path}:{reader.line_num}: more numbers than columns; mend the row")
    return line


def _columns(path: Path, names: Sequence[str]) -> list[str]:
    """The columns of a file that hold numbers."""
    missing = [name for name in REQUIRED if name not in names]
    found = [name for name in names if name not in REQUIRED + OPTIONAL]
    strange = [name for name in found if not name.isdecimal() and name != AVERAGE]
    if missing or strange or not found:
        problem = f"column {strange[0]!r}" if strange else f"no column {(missing or ['1024'])[0]!r}"
        raise RecordError(
            f"{path}: {problem}; expected {', '.join(REQUIRED)}, optionally {', '.join(OPTIONAL)}, "
            f"then lengths or depths and {AVERAGE}"
        )
    return found


def _decimals(
    path: Path, lines: Sequence[tuple[int, Mapping[str, str]]], columns: Sequence[str]
) -> dict[str, int]:
    """Most decimals of any number, by table."""
    most: dict[str, int] = {}
    for number, line in lines:
        shown = (_match(path, number, line, column)["decimals"] for column in columns)
        widest = max(len(decimals or "") for decimals in shown)
        most[line["table"]] = max(widest, most.get(line["table"], 0))
    return most


def _match(path: Path, number: int, line: Mapping[str, str], column: str) -> re.Match[str]:
    found = PRINTED.fullmatch((line[column] or "").strip())
    if found is None:
        raise RecordError(
            f"{path}:{number}: {column}: {line[column]!r} is not a number; mend or drop the row"
        )
    return found


def _numbers(
    path: Path,
    number: int,
    line: Mapping[str, str],
    columns: Sequence[str],
    decimals: Mapping[str, int],
) -> Iterator[Number]:
    """The numbers of one line."""
    fixed = _whole(path, number, line, "length") if "length" in line else None
    for column in columns:
        found = _match(path, number, line, column)
        at = None if column == AVERAGE else int(column)
        yield Number(
            table=_whole(path, number, line, "table"),
            task=line.get("task") or "depth",
            model=line["model"],
            label=line["label"],
            length=at if fixed is None else fixed,
            depth=None if fixed is None else at,
            format=line.get("format") or "",
            value=Fraction(found["number"]),
            decimals=decimals[line["table"]],
            bold=found["bold"] is not None,
            is_average=column == AVERAGE,
            place=f"{path.name}:{number}",
        )


def _whole(path: Path, number: int, line: Mapping[str, str], column: str) -> int:
    if not (line[column] or "").isdecimal():
        raise RecordError(f"{path}:{number}: {column}: {line[column]!r} is not a whole number")
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
