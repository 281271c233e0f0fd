"""Sources: what a module imports, at its top or inside a function, and nothing else."""

from pathlib import Path

import pytest

from needlework import sources


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
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    """Read every source anew."""
    sources._imports.cache_clear()
    sources._source.cache_clear()


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
