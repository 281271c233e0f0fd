"""What a result depends on inside this package: a digest of modules and all they import.

Snakemake sees files and parameters, not package code; a rule that carries this digest among its
parameters runs again when the code behind it changes, and only then: comments, docstrings and the
layout of a file are no code. The journal's key holds such a digest too (`engine.identity`).

Every start of Snakemake asks for nearly all modules, so what was read of them is kept in a file, as
Python keeps modules that it compiled.
"""

import ast
import hashlib
import importlib.util
import json
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

PACKAGE = "needlework"
ROOT = Path(__file__).parent
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
"""Where a statement holds others."""


def digest(*modules: str, without: Collection[str] = ()) -> str:
    """Sixteen hexadecimal digits over the code of `modules` and of every module they import.

    What only the modules `without` import is left out with them, and so is what others say of
    them at their top: imports, and rows of tables. A row more for another mixer changes nothing.

    Raises:
        ModuleNotFoundError: a module is not part of this package.
    """
    return digest_of(closure(*modules, without=without), without=without)


def digest_of(modules: Iterable[str], *, without: Collection[str] = ()) -> str:
    """Sixteen hexadecimal digits over the code of `modules` and of no others.

    Raises:
        ModuleNotFoundError: a module is not part of this package.
    """
    left_out = frozenset(without)
    total = hashlib.sha256()
    for name in sorted(modules):
        code = _code(name, left_out & _imports(name))
        total.update(name.encode() + b"\0" + code.encode() + b"\0")
    _keep()
    return total.hexdigest()[:16]


def closure(*modules: str, without: Collection[str] = ()) -> set[str]:
    """The modules and everything of this package that they import, directly or not.

    The modules `without`, and what only they import, are not among them.
    """
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found and name not in without:
            found.add(name)
            waiting += _imports(name)
    return found


def rows(module: str, table: str) -> dict[str, str]:
    """The module behind the value of each row of a table: a dict at the top of `module`, by key.

    Keys are told as they are written, so `config.MLP: MLP` is `config.MLP` with the module of MLP.
    """
    tree = ast.parse(_read(module)[0])
    (found,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == table
    )
    assert isinstance(found, ast.Dict), f"{module}.{table} is no table"
    origin = {alias: name for node in tree.body for alias, name in _aliases(node)}
    return {
        ast.unparse(key): origin[_first_name(value)]
        for key, value in zip(found.keys, found.values, strict=True)
        if key is not None
    }


def _imports(name: str) -> frozenset[str]:
    """What one module imports from this package, at its top or inside a function."""
    return _read(name)[1]


def imported(source: bytes) -> frozenset[str]:
    """What a source imports from this package, at its top or inside a function.

    Raises:
        SyntaxError: the source is not Python.
    """
    return _parsed(source)[1]


def _aliases(node: ast.AST) -> Iterator[tuple[str, str]]:
    """What one statement imports: the name it is given, and its module.

    The packages that an import only passes through are not told.
    """
    if isinstance(node, ast.Import):
        for alias in node.names:
            if _is_ours(alias.name):
                yield alias.asname or alias.name, alias.name
    if isinstance(node, ast.ImportFrom) and _is_ours(node.module or ""):
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            module = inner if _path(inner).is_file() else str(node.module)
            yield alias.asname or alias.name, module


def _first_name(node: ast.AST) -> str:
    """The name that an expression begins with: of `Format(llama.places)` it is `llama`."""
    called = node.args[0] if isinstance(node, ast.Call) and node.args else node
    while isinstance(called, ast.Attribute):
        called = called.value
    return called.id if isinstance(called, ast.Name) else ""


@cache
def _code(name: str, left_out: frozenset[str]) -> str:
    """The code of a module, in one layout, without what it says of the modules `left_out`."""
    code = _read(name)[0]
    if not left_out:
        return code
    tree = ast.parse(code)
    _forget(tree, left_out)
    return ast.unparse(tree)


def _forget(tree: ast.Module, left_out: frozenset[str]) -> None:
    """Drop imports of these modules at the top, and rows of tables there that are about them."""
    names = {alias for node in tree.body for alias, module in _aliases(node) if module in left_out}
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            node.names = [each for each in node.names if (each.asname or each.name) not in names]
        elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
            kept = [
                (key, value)
                for key, value in zip(node.value.keys, node.value.values, strict=True)
                if _first_name(value) not in names
            ]
            node.value.keys = [key for key, _ in kept]
            node.value.values = [value for _, value in kept]
    tree.body = [node for node in tree.body if getattr(node, "names", True)]


@cache
def _read(name: str) -> tuple[str, frozenset[str]]:
    """The code of a module in one layout, and what it imports from this package.

    It has no comments and no text that nobody reads: docstrings, below a field as well. Trees are
    not kept, through all of which Python would look for garbage with every further one.
    """
    source = _source(name)
    key = hashlib.sha256(source).hexdigest()
    known = _kept()
    if name not in known or known[name][0] != key:
        tree, imports = _parsed(source)
        known[name] = (key, ast.unparse(tree), sorted(imports))
        _NEW.add(name)
    return known[name][1], frozenset(known[name][2])


Kept = dict[str, tuple[str, str, list[str]]]
"""By module the digest of a source, its code and its imports."""
_NEW: set[str] = set()
"""Modules of which the file knows nothing yet."""


def _file() -> Path:
    """Where it is kept: beside compiled modules, by the version of Python that wrote the code."""
    return Path(importlib.util.cache_from_source(str(ROOT / "sources.py"))).with_suffix(".json")


@cache
def _kept() -> Kept:
    """What was read before; nothing where there is no such file, or none that can be read."""
    try:
        known: Kept = json.loads(_file().read_bytes())
    except (OSError, ValueError):
        return {}
    return known


def _keep() -> None:
    """Keep what is new, where the folder can be written to: all of it in one step."""
    if _NEW:
        _NEW.clear()
        written = Path(f"{_file()}.{os.getpid()}")
        try:
            written.parent.mkdir(exist_ok=True)
            written.write_text(json.dumps(_kept()), encoding="utf-8")
            written.replace(_file())
        except OSError:
            with suppress(OSError):
                written.unlink()


def _parsed(source: bytes) -> tuple[ast.Module, frozenset[str]]:
    """The syntax of a module without docstrings, and what it imports from this package.

    Snakemake asks at every start for all modules, so statements are looked at, not expressions.
    """
    tree = ast.parse(source)
    imports: set[str] = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        for field in _BLOCKS:
            block = getattr(node, field, None)
            if isinstance(block, list):
                kept = [each for each in block if not _is_text(each)]
                block[:] = kept or ([ast.Pass()] if block and node is not tree else [])
                waiting += block
        imports.update(module for _, module in _aliases(node))
    return tree, frozenset(imports)


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


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
