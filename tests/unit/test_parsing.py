"""Parsing: one line for each mistake, with the nearest known name."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from needlework.errors import StudyError
from needlework.parsing import parse, parse_json, read, unknown


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    lengths: tuple[int, ...]


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    samples: int
    ruler: Inner


GOOD = {"samples": 1, "ruler": {"lengths": [1]}}


def mistakes(values: object) -> list[str]:
    with pytest.raises(StudyError) as caught:
        parse(Outer, values, where="file")
    return str(caught.value).splitlines()


def test_good_values_are_a_record() -> None:
    assert parse(Outer, GOOD, where="file").ruler.lengths == (1,)


def test_a_misspelt_key_names_the_nearest() -> None:
    """And is not reported as missing on top of it."""
    values = {"sampels": 1, "ruler": {"lengths": [1]}}
    assert mistakes(values) == ["file: `sampels` is unknown; did you mean `samples`?"]


def test_a_misspelt_key_inside_names_its_section() -> None:
    values = {"samples": 1, "ruler": {"lenghts": [1]}}
    assert mistakes(values) == ["file: ruler: `lenghts` is unknown; did you mean `lengths`?"]


def test_a_missing_key_is_named() -> None:
    assert mistakes({"ruler": {"lengths": [1]}}) == ["file: samples: is missing"]


def test_a_wrong_value_is_shown() -> None:
    (line,) = mistakes(GOOD | {"samples": "many"})
    assert line.startswith("file: samples: ")
    assert line.endswith("(got 'many')")


def test_every_mistake_has_its_line() -> None:
    assert len(mistakes({"samples": "many", "ruler": {"lengths": 3}})) == 2


def test_a_name_like_no_other_lists_all() -> None:
    assert unknown("zzz", ["beta", "alpha"]) == "`zzz` is unknown; known: alpha, beta"


def test_text_that_is_not_json_is_told() -> None:
    with pytest.raises(StudyError, match=r"--models: not JSON"):
        parse_json(Outer, "{", where="--models")


def test_a_file_that_is_not_yaml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("a: [1", encoding="utf-8")
    with pytest.raises(StudyError, match=r"bad\.yaml is not YAML"):
        read(path)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"none\.yaml does not exist"):
        read(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.json", b"[" * 100_000, "JSON"),
        ("a.json", b"a: 1", "JSON"),
        ("a.json", b"\xff", "JSON"),
        ("a.yaml", b"a: [", "YAML"),
        ("a.yaml", b"\xff", "YAML"),
    ],
    ids=["deep", "YAML", "no text", "torn", "no text"],
)
def test_a_file_that_is_not_what_its_name_says(
    tmp_path: Path, name: str, content: bytes, kind: str
) -> None:
    """Brackets without end once brought the whole process down, in the C code of a YAML reader."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StudyError, match=f"{name} is not {kind}: "):
        read(tmp_path / name)


UNFINISHED = """
from needlework.parsing import Closed
import needlework.study.plan

def below(found):
    for each in found.__subclasses__():
        yield each
        yield from below(each)

print([each.__name__ for each in below(Closed) if not each.__pydantic_complete__])
"""


def test_every_record_is_whole_when_it_is_imported() -> None:
    """One that names a record defined after it is finished at its first use; until then pydantic
    before 2.14 cannot write it as a part of something else. Asked of a process that used none."""
    told = subprocess.run([sys.executable, "-c", UNFINISHED], capture_output=True, text=True)
    assert told.stdout == "[]\n", told.stderr
