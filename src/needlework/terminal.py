"""A progress bar for people: on a terminal, and nowhere else but in the log of a long download."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeVar

import click

Step = TypeVar("Step")
_EVERY = 30
"""Seconds between two lines in a log."""


def printable(text: str) -> str:
    """One line that a terminal shows as it is, whoever wrote it: all else becomes an escape."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape", "backslashreplace").decode()
        for each in text
    )


Meter = Callable[[str, int | None, int], AbstractContextManager[Callable[[int], None]]]
"""Takes a path, its size and how much of it is there, in bytes; what it returns is called with
every number of further bytes, and shows them."""


def bar(label: str, *, total: int) -> Callable[[Iterable[Step]], Iterable[Step]]:
    """A function that passes `total` steps on and shows how many it has seen."""
    if not sys.stderr.isatty():
        return lambda steps: steps

    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return lambda steps: track(steps, label, total=total, console=console)


@contextmanager
def silent(_path: str, _total: int | None, _done: int) -> Iterator[Callable[[int], None]]:
    """Nothing, wherever it is told."""
    yield lambda _: None


@contextmanager
def meter(path: str, total: int | None, done: int) -> Iterator[Callable[[int], None]]:
    """A bar of bytes on a terminal; elsewhere a line every half minute."""
    name = Path(path).name.removesuffix(".part")
    if not sys.stderr.isatty():
        yield _Lines(name, total, done).tell
        return

    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(name, total=total, completed=done)
        yield lambda count: shown.advance(task, count)


class _Lines:
    """How far a file has come, in a log."""

    def __init__(self, name: str, total: int | None, done: int) -> None:
        self._name, self._total, self._done = name, total, done
        self._last = time.monotonic()

    def tell(self, count: int) -> None:
        """Show it, when the last line is long enough ago."""
        self._done += count
        now = time.monotonic()
        if now - self._last >= _EVERY:
            self._last = now
            of = f" of {self._total / 1e6:,.0f}" if self._total else ""
            click.echo(f"needlework: {self._name}: {self._done / 1e6:,.0f}{of} MB", err=True)
