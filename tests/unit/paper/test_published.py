"""Published tables: exact numbers, and one line for each way a file can be wrong."""

from fractions import Fraction
from pathlib import Path

import pytest

from needlework.errors import RecordError
from needlework.paper.published import read_tables
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


def test_an_average_has_decimals_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        HEAD.replace("1024", "1024,2048") + "16,fwe,m,M,33.3,66.7,50.25"
    )
    assert [number.decimals for number in read_tables(tmp_path)] == [1, 1, 2]


@pytest.mark.parametrize(
    ("shown", "decimals"),
    [
        (("33.33", "66.67", "57.867"), (2, 2, 3)),
        (("99.6", "66.67", "57.87"), (2, 2, 2)),
        (("99.6", "66.70", "57.87"), (1, 2, 2)),
        (("0", "100", "57.87"), (2, 2, 2)),
        (("60.0", "100", "57"), (1, 1, 1)),
    ],
    ids=["one has more", "zeros dropped", "zeros kept", "0 and 100", "60.0 is no proof"],
)
def test_decimals_are_those_that_many_numbers_show(
    tmp_path: Path, shown: tuple[str, ...], decimals: tuple[int, ...]
) -> None:
    head = "table,task,model,label,1024,2048,4096\n"
    (tmp_path / "a.csv").write_text(f"{head}16,fwe,m,M,{','.join(shown)}\n")
    assert tuple(number.decimals for number in read_tables(tmp_path)) == decimals


def test_a_mark_of_byte_order_is_no_part_of_a_name(tmp_path: Path) -> None:
    """Spreadsheets write one."""
    (tmp_path / "a.csv").write_text(HEAD + "1,ruler,m,M,12.5,12.5\n", encoding="utf-8-sig")
    assert len(read_tables(tmp_path)) == 2


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
        ("table,model,label,1024\n1,m,M,1\n", "no column 'task'"),
        ("table,task,model,label,average\n6,vt,m,M,3\n", "no column '1024'"),
        (HEAD.replace("average", "1024"), "column '1024' twice"),
        (HEAD, "no row below"),
        (HEAD + "14,vtt,m,M,1,1\n", "task: 'vtt' is unknown; expected ruler, niah_single_1"),
        (HEAD + "7,cwe,m,M,1,1\n7,vt,m,M,1,1\n", "a.csv:3: Table 7 is about vt, but Table 7 in"),
        (HEAD + "7,vt,m,M,1,1\n8,vt,n,N,1,1\n", "a.csv:3: Table 8 is about vt, but Table 7 in"),
        ("table,model,label,length,format,0\n4,m,M,1024,essay,1\n", "format: 'essay' is unknown"),
        (HEAD + f"1,ruler,m,M,{'1' * 5000},1\n", "is not a number"),
        (HEAD + f"{'1' * 5000},ruler,m,M,1,1\n", "is not a whole number"),
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
