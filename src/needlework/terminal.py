"""A progress bar for people: on a terminal, and nowhere else."""

import sys
from collections.abc import Callable, Iterable
from typing import TypeVar

Step = TypeVar("Step")


def bar(label: str, *, total: int) -> Callable[[Iterable[Step]], Iterable[Step]]:
    """A function that passes `total` steps on and shows how many it has seen."""
    if not sys.stderr.isatty():
        return lambda steps: steps

    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return lambda steps: track(steps, label, total=total, console=console)
