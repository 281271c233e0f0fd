"""Sources: what a module imports, at its top or inside a function, and nothing else."""

import shutil
from pathlib import Path

import pytest

from needlework import sources
from tests.sources_for_tests import forget


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of one's own in place of needlework."""
    for name, text in {
        "__init__.py": "",
        "top.py": "import os\nfrom needlework.inner import leaf\n",
        "late.py": "def f():\n    import needlework.top\n",
        "named.py": "from needlework.inner import function\n",
        "inner/__init__.py": "from needlework.inner.other import function\n",
        "inner/leaf.py": "",
        "inner/other.py": "def function(): ...\n",
        "table.py": (
            "from needlework import top\n"
            "from needlework.inner import leaf as sheet, other\n"
            "ROWS: dict[str, object] = {'one': top.x, 'two': sheet, 'three': dict(other.f)}\n"
            "def f():\n    return ROWS\n"
        ),
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    forget()
    yield tmp_path
    forget()


def test_a_module_brings_what_it_imports(package: Path) -> None:
    assert sources.closure("needlework.top") == {"needlework.top", "needlework.inner.leaf"}


def test_an_import_inside_a_function_counts(package: Path) -> None:
    assert "needlework.inner.leaf" in sources.closure("needlework.late")


def test_a_name_from_a_package_brings_the_package(package: Path) -> None:
    assert sources.closure("needlework.named") == {
        "needlework.named",
        "needlework.inner",
        "needlework.inner.other",
    }


def test_a_change_anywhere_below_changes_the_digest(package: Path) -> None:
    before = sources.digest("needlework.late")
    (package / "inner/leaf.py").write_text("x = 1\n", encoding="utf-8")
    forget()
    assert sources.digest("needlework.late") != before


def test_a_change_elsewhere_does_not(package: Path) -> None:
    before = sources.digest("needlework.late")
    (package / "inner/other.py").write_text("x = 1\n", encoding="utf-8")
    forget()
    assert sources.digest("needlework.late") == before


def test_what_was_read_is_kept_for_the_next_process(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a second of every start of Snakemake went into reading the same modules again."""
    before = sources.digest("needlework.late")
    forget()
    monkeypatch.setattr(sources, "_parsed", None)
    assert sources.digest("needlework.late") == before


@pytest.mark.parametrize("left", [b"", b'{"needlework.late": ["'])
def test_what_was_kept_in_part_is_read_anew(package: Path, left: bytes) -> None:
    before = sources.digest("needlework.late")
    sources._file().write_bytes(left)
    forget()
    assert sources.digest("needlework.late") == before


def test_where_nothing_can_be_kept_everything_is_read(package: Path) -> None:
    before = sources.digest("needlework.late")
    shutil.rmtree(package / "__pycache__")
    (package / "__pycache__").touch()
    forget()
    assert sources.digest("needlework.late") == before


SAID = """
# A comment.
class Thing:
    field: int
    {field}

    def method(self):
        {method}
        if self.field:
            {branch}
            return 1
        {after}
"""


def said(**texts: str) -> str:
    """A module that says something at every place where nobody listens."""
    places = ("field", "method", "branch", "after")
    return SAID.format(**{place: f'"""{texts.get(place, "Old.")}"""' for place in places})


def of_text(package: Path, text: str) -> str:
    (package / "inner/leaf.py").write_text(text, encoding="utf-8")
    forget()
    return sources.digest("needlework.late")


@pytest.mark.parametrize("place", ["field", "method", "branch", "after"])
def test_a_docstring_is_no_code(package: Path, place: str) -> None:
    """A comment in one mixer computed every answer of every model again: 22 GPU hours."""
    assert of_text(package, said()) == of_text(package, said(**{place: "New."}))


def test_a_comment_and_the_layout_are_no_code(package: Path) -> None:
    one = of_text(package, "x = f(1, 2)\n")
    assert one == of_text(package, "# why\nx = f(  # how\n    1,\n    2,\n)\n\n\n")
    assert one != of_text(package, "x = f(1, 3)\n")


def test_a_text_that_is_read_is_code(package: Path) -> None:
    one = of_text(package, 'def f():\n    """Old."""\n    return "old"\n')
    assert one != of_text(package, 'def f():\n    """Old."""\n    return "new"\n')


def test_a_function_without_body_differs_from_one_that_returns(package: Path) -> None:
    assert of_text(package, 'def f():\n    """Old."""\n') == of_text(
        package, "def f():\n    pass\n"
    )


def test_two_texts_do_not_run_into_each_other(package: Path) -> None:
    """What leaves the end of one module and enters the beginning of the next is a change."""
    for name, text in (("leaf", "a = 1\nb = 2\n"), ("other", "c = 3\n")):
        (package / f"inner/{name}.py").write_text(text, encoding="utf-8")
    forget()
    before = sources.digest("needlework.inner.leaf", "needlework.inner.other")
    for name, text in (("leaf", "a = 1\n"), ("other", "b = 2\nc = 3\n")):
        (package / f"inner/{name}.py").write_text(text, encoding="utf-8")
    forget()
    assert sources.digest("needlework.inner.leaf", "needlework.inner.other") != before


def test_what_is_left_out_takes_along_what_only_it_imports(package: Path) -> None:
    found = sources.closure("needlework.late", "needlework.named", without={"needlework.top"})
    assert found == {
        "needlework.late",
        "needlework.named",
        "needlework.inner",
        "needlework.inner.other",
    }


def without_leaf(package: Path, old: str, new: str) -> tuple[str, str]:
    """Digests of the table's module, its leaf left out, before and after a change of its text."""
    path, left_out = package / "table.py", {"needlework.inner.leaf"}
    before = sources.digest("needlework.table", without=left_out)
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    forget()
    return before, sources.digest("needlework.table", without=left_out)


@pytest.mark.parametrize(
    ("old", "new"),
    [("leaf as sheet", "leaf as sheet, leaf as page"), ("'two'", "'2'"), (" 'two': sheet,", "")],
)
def test_a_row_about_what_is_left_out_changes_nothing(package: Path, old: str, new: str) -> None:
    """Else a mixer more in the table would compute all answers of all others again."""
    before, after = without_leaf(package, old, new)
    assert before == after


@pytest.mark.parametrize(("old", "new"), [("'one'", "'first'"), ("return ROWS", "return 1")])
def test_a_change_beside_it_does(package: Path, old: str, new: str) -> None:
    before, after = without_leaf(package, old, new)
    assert before != after


def test_a_table_tells_the_module_of_each_row(package: Path) -> None:
    assert sources.rows("needlework.table", "ROWS") == {
        "'one'": "needlework.top",
        "'two'": "needlework.inner.leaf",
        "'three'": "needlework.inner.other",
    }
