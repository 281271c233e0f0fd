"""The steps one after the other, each recorded whatever becomes of it, until the time is over.

No torch here: what crashes a GPU, hangs or runs out of memory does so in a worker.
"""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from needlework.errors import EngineError
from needlework.files import write_text
from needlework.proving.page import markdown
from needlework.proving.records import Facts, Proof, StepRecord, read_step, write_step
from needlework.proving.steps import (
    FACTS,
    LAST_WORDS,
    ON_A_CPU,
    REFERENCE_FLOPS,
    SCALES,
    Scale,
    Step,
    steps,
)
from needlework.proving.summaries import summary

NO_GPU = "no GPU: toy sizes on the CPU; nothing here speaks of a GPU"
PATIENCE = 5.0
"""How many times its expected seconds a step may take."""
LEAST_PATIENCE = 120.0
PACKAGE = Path(__file__).parents[2]


class Run:
    """One call of `needlework prove`: what it writes to, and until when."""

    def __init__(
        self, folder: Path, minutes: float, source: Path | None, say: Callable[[str], None]
    ) -> None:
        self.folder = folder
        self.source = source
        self.began = time.monotonic()
        self.ends = self.began + 60 * minutes
        self.workers: list[subprocess.Popen[str]] = []
        self._say = say

    def end_workers(self) -> None:
        """Kill what still works."""
        for process in self.workers:
            _kill(process)

    @property
    def left(self) -> float:
        """Seconds until the time is over."""
        return self.ends - time.monotonic()

    def say(self, text: str) -> None:
        """A line of progress, with the seconds so far."""
        self._say(f"{time.monotonic() - self.began:5.0f} s  {text}")


def prove(
    folder: Path, *, minutes: float, source: Path | None, say: Callable[[str], None]
) -> Proof:
    """Do what is not yet done below `folder` and has time; write `prove.json` and `prove.md` there.

    `source` are the sources of causal-conv1d, to be compiled beside the first steps.

    Raises:
        EngineError: the folder holds steps of another machine, or not even the first one works.
    """
    run = Run(folder, minutes, source, say)
    folder.mkdir(parents=True, exist_ok=True)
    with worker(run, "cpu", FACTS.name) as ask:
        facts = _facts(run, ask)
    scale = SCALES[facts.device]
    if facts.device == "cpu":
        say(NO_GPU)
    todo = steps(scale, build=source is not None and facts.device == "cuda")
    waiting = [step for step in todo if not _is_done(run, step)]
    try:
        _beside(run, scale, [step for step in waiting if step.beside])
        _publish(run, scale, todo)
        _in_turn(run, scale, [step for step in waiting if not step.beside], todo)
    finally:
        proof = _publish(run, scale, todo)
    say(f"{folder / 'prove.md'} and {folder / 'prove.json'} hold what was found")
    return proof


def _facts(run: Run, ask: "Ask") -> Facts:
    """The machine, looked at anew; it must be the one of all earlier steps."""
    before = read_step(run.folder, FACTS.name)
    error = ask(FACTS.name, LEAST_PATIENCE)
    record = read_step(run.folder, FACTS.name)
    if error is not None or record is None or not isinstance(record.result, Facts):
        raise EngineError(f"this machine cannot even be looked at: {error}; see {run.folder}/logs")
    if before is not None and isinstance(before.result, Facts):
        was, now = before.result.identity, record.result.identity
        if was != now:
            write_step(run.folder, before)
            raise EngineError(
                f"{run.folder} holds steps of another machine or code ({', '.join(was)}; here "
                f"{', '.join(now)}); name another --output, or delete it"
            )
    run.say(f"{record.title}: {summary(record)}")
    return record.result


def _is_done(run: Run, step: Step) -> bool:
    if step.kind == "facts":
        return True
    record = read_step(run.folder, step.name)
    return record is not None and record.status == "done"


def _beside(run: Run, scale: Scale, waiting: Sequence[Step]) -> None:
    """Steps that mostly compile, each in a worker of its own, all at once.

    Kernels time themselves at first use to choose their blocks; what they choose beside each other
    is not kept.
    """
    if not waiting:
        return

    def alone(step: Step) -> None:
        with worker(run, scale.device, step.name, FLA_CACHE_RESULTS="0") as ask:
            _one(run, scale, step, ask)

    with ThreadPoolExecutor(len(waiting)) as pool:
        try:
            for done in [pool.submit(alone, step) for step in waiting]:
                done.result()
        finally:
            run.end_workers()


def _in_turn(run: Run, scale: Scale, waiting: Sequence[Step], todo: Sequence[Step]) -> None:
    """Steps one after the other in one worker, and in a new one after a failure."""
    rest = list(waiting)
    while rest:
        with worker(run, scale.device, rest[0].name) as ask:
            while rest:
                going_on = _one(run, scale, rest.pop(0), ask)
                _publish(run, scale, todo)
                if not going_on:
                    break


Ask = Callable[[str, float], str | None]
"""Do the step of this name in so many seconds: None, or why it failed."""


def _one(run: Run, scale: Scale, step: Step, ask: Ask) -> bool:
    """One step, if it has time; whether its worker can go on."""
    expected = step.seconds * _slowness(run, scale)
    if expected > run.left:
        return True
    began = time.monotonic()
    error = ask(step.name, min(run.left, max(LEAST_PATIENCE, PATIENCE * expected)))
    if error is not None:
        seconds = time.monotonic() - began
        record = StepRecord(
            name=step.name, title=step.title, status="failed", seconds=seconds, error=error
        )
        write_step(run.folder, record)
        run.say(f"{step.title}: failed: {error}")
        return False
    done = read_step(run.folder, step.name)
    assert done is not None
    run.say(f"{step.title}: {summary(done)}")
    return True


def _slowness(run: Run, scale: Scale) -> float:
    """How many times longer than expected steps take here."""
    if scale.device == "cpu":
        return ON_A_CPU
    peaks = read_step(run.folder, "peaks")
    flops = getattr(peaks.result, "flops", REFERENCE_FLOPS) if peaks else REFERENCE_FLOPS
    return max(1.0, REFERENCE_FLOPS / flops)


def _publish(run: Run, scale: Scale, todo: Sequence[Step]) -> Proof:
    """Write the two files as things stand."""
    records = []
    for step in todo:
        record = read_step(run.folder, step.name)
        records.append(record or _not_run(step, scale))
    proof = Proof(toy=scale.device == "cpu", steps=tuple(records))
    write_text(run.folder / "prove.json", proof.model_dump_json(indent=1) + "\n")
    write_text(run.folder / "prove.md", markdown(proof))
    return proof


def _not_run(step: Step, scale: Scale) -> StepRecord:
    seconds = step.seconds * (ON_A_CPU if scale.device == "cpu" else 1)
    return StepRecord(
        name=step.name,
        title=step.title,
        status="not run",
        error=f"there was no time left for its {seconds:.0f} s; the same command goes on",
    )


@contextmanager
def worker(run: Run, device: str, name: str, **environment: str) -> Iterator[Ask]:
    """A process that does steps as it is asked to; whatever it does ends with the block."""
    log = run.folder / "logs" / f"{name}.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("w", encoding="utf-8") as words:
        process = _start(run, device, words, environment)
        run.workers.append(process)
        try:
            yield lambda step, seconds: _ask(process, log, step, seconds)
        finally:
            _kill(process)
            process.communicate()


def _kill(process: "subprocess.Popen[str]") -> None:
    """End a worker and the compilers it has started, which are of its group; files are whole."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def _start(
    run: Run, device: str, words: IO[str], environment: dict[str, str]
) -> "subprocess.Popen[str]":
    """Workers read the sources that we read, and find what an earlier step has built."""
    paths = [str(run.folder / "causal-conv1d"), str(PACKAGE), os.environ.get("PYTHONPATH", "")]
    command = [sys.executable, "-m", "needlework.proving.worker", str(run.folder), device]
    return subprocess.Popen(
        [*command, *([str(run.source)] if run.source else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=words,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))} | environment,
        start_new_session=True,
    )


def _ask(process: "subprocess.Popen[str]", log: Path, step: str, seconds: float) -> str | None:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(f"{step}\n")
        process.stdin.flush()
    except BrokenPipeError:
        return _last_words(process, log)
    answered, _, _ = select.select([process.stdout], [], [], seconds)
    if not answered:
        return f"no result after {seconds:.0f} s; it was ended"
    if process.stdout.readline().strip() == step:
        return None
    return _last_words(process, log)


def _last_words(process: "subprocess.Popen[str]", log: Path) -> str:
    """Why a worker has ended, in one line."""
    status = process.wait()
    if status < 0:
        return f"its process was killed by {signal.Signals(-status).name}; see {log}"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    said = [line.removeprefix(LAST_WORDS) for line in lines if line.startswith(LAST_WORDS)]
    return said[-1] if said else f"its process ended with code {status}; see {log}"
