"""The package as it would be with other text in a module: what digests say then."""

from collections.abc import Callable

import pytest

from needlework import sources

Edit = Callable[[bytes], bytes]


def forget() -> None:
    """Read every source anew."""
    sources._read.cache_clear()
    sources._code.cache_clear()
    sources._source.cache_clear()
    sources._kept.cache_clear()


def edit(monkeypatch: pytest.MonkeyPatch, module: str, change: Edit) -> None:
    """Let a module have other text, for digests alone; undone with the patch and `forget`."""
    original = sources._source.__wrapped__
    original(module)  # One that does not exist cannot be changed, and would prove nothing.

    def altered(name: str) -> bytes:
        text = original(name)
        return change(text) if name == module else text

    altered.cache_clear = lambda: None
    monkeypatch.setattr(sources, "_source", altered)
    sources._read.cache_clear()
    sources._code.cache_clear()


def comment(text: bytes) -> bytes:
    """A comment, a blank line and other line breaks more."""
    return b"# a comment\n" + text + b"\n\n# another\n"


def docstring(text: bytes) -> bytes:
    """Another docstring of the module."""
    return text.replace(b'"""', b'"""In other words: ', 1)


def statement(text: bytes) -> bytes:
    """One statement more."""
    return text + b"\nONE_MORE = 1\n"
