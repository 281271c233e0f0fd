"""The limits of the house: files of one subject, and imports that stay where they belong."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src/needlework"
MODULES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))

MODULE_LINES = 350
"""Subjects are looked for by the names of files; one that grows beyond this holds two of them."""
ENTRY_LINES = {"Snakefile": 14, "workflow/Snakefile": 55, "workflow/rules/common.smk": 79}
ANYBODYS_CODE = {PACKAGE / "tasks/own.py", PACKAGE / "door.py"}
"""Call functions that users write, and open files that strangers wrote: anything may go wrong."""
TORCH = (
    "models/",
    "engine/",
    "proving/",
    "training/",
    "cluster/doctor.py",
    "cluster/installation.py",
)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def nodes(path: Path) -> list[ast.AST]:
    """The syntax of a file, read once for all tests."""
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in nodes(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MODULE_LINES


@pytest.mark.parametrize("path", ENTRY_LINES)
def test_the_entry_points_are_short(path: str) -> None:
    assert len((ROOT / path).read_text(encoding="utf-8").splitlines()) <= ENTRY_LINES[path]


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_torch_is_imported_only_by_what_computes(path: Path) -> None:
    """A job that only counts must not wait for torch."""
    imported = {module.partition(".")[0] for node in nodes(path) for module in _imported(node)}
    inside = path.relative_to(PACKAGE).as_posix()
    assert "torch" not in imported or inside.startswith(TORCH)


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


@pytest.mark.parametrize("path", sorted((ROOT / "workflow").rglob("*")), ids=name)
def test_the_config_is_read_in_one_place(path: Path) -> None:
    if path.is_file() and path.name != "common.smk":
        assert "config[" not in path.read_text(encoding="utf-8")
        assert "config.get" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [path for path in MODULES if path not in ANYBODYS_CODE], ids=name)
def test_nothing_is_caught_that_cannot_be_repaired(path: Path) -> None:
    handlers = [node for node in nodes(path) if isinstance(node, ast.ExceptHandler)]
    broad = [
        handler.lineno
        for handler in handlers
        if handler.type is None
        or (
            isinstance(handler.type, ast.Name) and handler.type.id in {"Exception", "BaseException"}
        )
    ]
    assert broad == []


@pytest.mark.parametrize("path", [*MODULES, *TESTS], ids=name)
def test_open_ends_are_not_left_in_the_tree(path: Path) -> None:
    words = ("TO" + "DO", "FIX" + "ME")
    text = path.read_text(encoding="utf-8")
    assert not any(word in text for word in words)


@pytest.mark.parametrize("path", TESTS, ids=name)
def test_a_test_can_fail(path: Path) -> None:
    """A test without an assertion, its own or that of a helper beside it, proves nothing."""
    bodies = {function.name: ast.unparse(function) for function in functions(path)}
    helpers = [f"{helper}(" for helper in bodies if not helper.startswith("test_")]
    for test, body in bodies.items():
        if test.startswith("test_"):
            assert any(word in body for word in ("assert", "raises(", *helpers)), test
