"""What a rule's result depends on inside this package: a digest of modules and all they import.

Snakemake sees files and parameters, not package code; a rule that carries this digest among its
parameters runs again when the code behind it changes, and only then.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

PACKAGE = "needlework"
ROOT = Path(__file__).parent


def digest(*modules: str) -> str:
    """Sixteen hexadecimal digits over the sources of `modules` and of every module they import.

    Raises:
        ModuleNotFoundError: a module is not part of this package.
    """
    return digest_of(closure(*modules))


def digest_of(modules: Iterable[str]) -> str:
    """Sixteen hexadecimal digits over the sources of `modules` and of no others.

    Raises:
        ModuleNotFoundError: a module is not part of this package.
    """
    total = hashlib.sha256()
    for name in sorted(modules):
        total.update(name.encode() + b"\0" + _source(name))
    return total.hexdigest()[:16]


def closure(*modules: str, without: frozenset[str] = frozenset()) -> set[str]:
    """The modules and everything of this package that they import, directly or not.

    It goes round modules in `without`, and what is only reached through them.
    """
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found | without:
            found.add(name)
            waiting += _imports(name)
    return found


@cache
def _imports(name: str) -> frozenset[str]:
    """What one module imports from this package, at its top or inside a function."""
    return imported(_source(name))


def imported(source: bytes) -> frozenset[str]:
    """What a source imports from this package, at its top or inside a function.

    Raises:
        SyntaxError: the source is not Python.
    """
    return frozenset(found for node in ast.walk(ast.parse(source)) for found in _named(node))


def _named(node: ast.AST) -> Iterator[str]:
    """The modules that one statement imports, without the packages it only passes through."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if _is_ours(alias.name))
    if isinstance(node, ast.ImportFrom) and _is_ours(node.module or ""):
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            yield inner if _path(inner).is_file() else str(node.module)


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] == PACKAGE


@cache
def _source(name: str) -> bytes:
    path = _path(name)
    if not (_is_ours(name) and path.is_file()):
        raise ModuleNotFoundError(f"{name} is not a module of {PACKAGE}", name=name)
    return path.read_bytes()


def _path(name: str) -> Path:
    """Where the source of a module is, or would be."""
    inside = ROOT.joinpath(*name.split(".")[1:])
    return inside / "__init__.py" if inside.is_dir() else inside.with_suffix(".py")
