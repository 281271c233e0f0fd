"""Published tables: exact numbers, and one line for each way a file can be wrong."""

from fractions import Fraction
from pathlib import Path

import pytest

from needlework.errors import RecordError
from needlework.published import read_tables
from tests.published_for_tests import clean_tables, write_tables

HEAD = "table,task,model,label,1024,average\n"


def test_numbers_know_where_they_stand(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("table,model,label,length,0,average\n2,m,M,2048,99.6,99.47\n")
    cell, average = read_tables(tmp_path)
    assert (cell.value, cell.depth, cell.length, cell.task) == (Fraction("99.6"), 0, 2048, "depth")
    assert average.is_average
    assert average.depth is None
    assert average.place == "a.csv:2"


def test_decimals_are_those_of_the_table() -> None:
    """99.6 may have been 99.60: a file drops zeros at the end."""
    numbers = read_tables(Path("resources/published"))
    assert {number.decimals for number in numbers if number.table == 2} == {2}
    assert {number.decimals for number in numbers if number.table == 4} == {1}


def test_bold_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEAD + "1,ruler,m,M,**12.5**,12.5\n")
    assert [number.bold for number in read_tables(tmp_path)] == [True, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "1,ruler,m,M,n/a,1\n", "a.csv:2: 1024: 'n/a' is not a number"),
        (HEAD + "1,ruler,m,M,,1\n", "a.csv:2: 1024: '' is not a number"),
        (HEAD + "1,ruler,m,M,nan,1\n", "'nan' is not a number"),
        (HEAD + "1,ruler,m,M\n", "a.csv:2: 1024"),
        (HEAD + "1,ruler,m,M,1,1\n1,ruler,m,M,2,2\n", "same row as a.csv:2"),
        (HEAD + "x,ruler,m,M,1,1\n", "table: 'x' is not a whole number"),
        ("table,model,label,1024,mean\n", "column 'mean'"),
        ("table,task,1024\n", "no column 'model'"),
        (HEAD + "1,ruler,m,M,1,1,7\n", "more numbers than columns"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(RecordError) as error:
        read_tables(tmp_path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_without_tables_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"no \.csv file"):
        read_tables(tmp_path)


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecordError, match="UTF-8"):
        read_tables(tmp_path)


def test_every_number_of_a_study_is_read(tmp_path: Path) -> None:
    tables = clean_tables(3)
    write_tables(tmp_path, tables)
    heads = {"table", "task", "model", "label", "length", "format"}
    wanted = sum(len(row.keys() - heads) for rows in tables.values() for row in rows)
    assert len(read_tables(tmp_path)) == wanted
