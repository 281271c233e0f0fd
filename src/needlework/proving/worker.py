"""Steps in a process of their own: `python -m` this module, FOLDER, `cpu` or `cuda`, maybe SOURCE.

A line with a step's name on standard input is answered with the same line when its file is there.
Whatever a step raises ends the process: a GPU that has refused one call refuses all later ones.
"""

import gc
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import torch

from needlework.engine.processor import prepare_processor
from needlework.proving import answering, beside, building, checking, measuring, replaying
from needlework.proving.facts import find_facts
from needlework.proving.records import Result, StepRecord, write_step
from needlework.proving.steps import FACTS, LAST_WORDS, SCALES, Device, Scale, Step, StepKind, steps


def main(folder: Path, device: Device, source: Path | None) -> None:
    """Do the steps that are asked for until nothing more is."""
    sys.excepthook = _last_words
    # What libraries print must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    if device == "cpu":
        prepare_processor(1)
    scale = SCALES[device]
    known = {step.name: step for step in (FACTS, *steps(scale, build=source is not None))}
    for line in sys.stdin:
        step = known[line.strip()]
        began = time.monotonic()
        result = _do(step, scale, folder, source)
        seconds = time.monotonic() - began
        record = StepRecord(
            name=step.name, title=step.title, status="done", seconds=seconds, result=result
        )
        write_step(folder, record)
        answers.write(f"{step.name}\n")
        answers.flush()
        _tidy_up()


def _do(step: Step, scale: Scale, folder: Path, source: Path | None) -> Result:
    if step.kind == "facts":
        return find_facts()
    if step.kind == "peaks":
        return measuring.measure_peaks(scale)
    if step.kind == "build":
        assert source is not None
        return building.build(source, folder)
    found: dict[StepKind, Callable[[Scale, str], Result]] = {
        "kernels": checking.check_kernels,
        "long": checking.check_long,
        "speed": measuring.measure_speed,
        "batches": answering.compare_batches,
        "read": answering.read_long,
        "replayed": replaying.compare_replays,
        "beside": beside.compare_beside,
    }
    return found[step.kind](scale, step.subject)


def _tidy_up() -> None:
    """Give the next step all memory."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _last_words(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """The traceback for the log, and its error once more in one line."""
    sys.__excepthook__(kind, error, trace)
    first = next(iter(str(error).strip().splitlines()), "")
    sys.stderr.write(f"{LAST_WORDS}{kind.__name__}: {first}\n")


if __name__ == "__main__":
    wanted: Device = "cuda" if sys.argv[2] == "cuda" else "cpu"
    main(Path(sys.argv[1]), wanted, Path(sys.argv[3]) if len(sys.argv) > 3 else None)
