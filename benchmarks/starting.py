"""One start in a process of its own: `needlework predict` up to its first forward call.

Run as `python -m benchmarks.starting MARKS predict ...`. What a step takes is told without the
steps within it, of this process and of its children, and what was before the first step counts as
Python and its imports.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

import psutil

from needlework.parsing import Closed

P = ParamSpec("P")
R = TypeVar("R")

IMPORTS = "interpreter and imports"
STEPS = {
    "predict._prepare": IMPORTS,
    "predict._read": "datasets read",
    "predict._tokenizer": "tokenizer loaded",
    "predict._refuse_too_long": "headers of the weights",
    "predict._load": "weights read and placed",
    "predict.opened": "what names weights and code",
    "cell._tokenized": "prompts tokenized",
    "cell._charged": "prefixes planned",
    "running.plan_forest": "prefixes planned",
    "cell._rows": "keys of the journal",
}
"""Functions of the engine, and the steps they are."""
STORAGE = "memory for slots"
OTHERWISE = "all else up to the first call"


class Step(Closed):
    """What was spent on one step."""

    name: str
    cpu: float
    """Seconds of this process and its children."""
    wall: float


class Start(Closed):
    """One start of a process that answers a cell, in steps."""

    steps: tuple[Step, ...]
    read_bytes: int
    """What came from the disk, and not from memory."""
    loaded: tuple[str, ...]
    """Modules that were imported."""


class Stopwatch:
    """Says which step the time belongs to; one begins within another and gives back to it."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self._running = [OTHERWISE]
        self._spent: dict[str, list[float]] = {}
        self._last = 0.0, psutil.Process().create_time()
        self._pass(IMPORTS)

    def timed(self, step: str, function: Callable[P, R]) -> Callable[P, R]:
        """The same function, whose time belongs to a step."""

        def within(*given: P.args, **named: P.kwargs) -> R:
            self._pass(self._running[-1])
            self._running.append(step)
            try:
                return function(*given, **named)
            finally:
                self._pass(self._running.pop())

        return within

    def _pass(self, step: str) -> None:
        """All time since the last call belongs to this step."""
        now = _cpu(), time.time()
        spent = self._spent.setdefault(step, [0.0, 0.0])
        for index, (before, after) in enumerate(zip(self._last, now, strict=True)):
            spent[index] += after - before
        self._last = now

    def stop(self, *_: object, **__: object) -> NoReturn:
        """What the first forward call does: it writes down what was spent until now, and ends."""
        self._pass(self._running[-1])
        start = Start(
            steps=tuple(Step(name=name, cpu=c, wall=w) for name, (c, w) in self._spent.items()),
            read_bytes=psutil.Process().io_counters().read_bytes,
            loaded=tuple(sorted(sys.modules)),
        )
        self._output.write_text(start.model_dump_json(), encoding="utf-8")
        os._exit(0)


def _cpu() -> float:
    """Processor seconds of this process and all its children, those that have ended included."""
    own = psutil.Process()
    ended, running = os.times(), own.children(recursive=True)
    alive = sum(sum(each.cpu_times()[:2]) for each in running)
    return time.process_time() + ended.children_user + ended.children_system + alive


def main(output: Path, words: list[str]) -> None:
    """Run the command, which ends at its first forward call; a mistake of the user is told."""
    from needlework import cli
    from needlework.engine import cell, predict, running
    from needlework.models.decoder import Decoder

    watch = Stopwatch(output)
    modules: dict[str, Any] = {"predict": predict, "cell": cell, "running": running}
    for place, step in STEPS.items():
        module, name = place.split(".")
        function = getattr(modules[module], name)
        setattr(modules[module], name, watch.timed(step, function))
    stands_in: dict[str, Callable[..., Any]] = dict.fromkeys(("read", "forward"), watch.stop)
    stands_in["slots"] = watch.timed(STORAGE, Decoder.slots)
    for name, method in stands_in.items():
        setattr(Decoder, name, method)
    sys.argv = ["needlework", *words]
    cli.main()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
