"""One contender in a process of its own: answer the cells of a job, report what each took.

Run as `python -m benchmarks.worker JOB RUNS`, by whichever Python has the contender.
"""

import resource
import sys
import time
from pathlib import Path

from benchmarks.jobs import Answer, Cell, Job, Run, Runs
from needlework.files import write_text


def main(job: Path, output: Path) -> None:
    """Run the job in the file `job` and write its runs to `output`.

    One sample is answered before the clock starts.
    """
    wanted = Job.model_validate_json(job.read_bytes())
    answer = contender(wanted)
    answer(wanted.cells[0].one)
    runs = Runs(runs=tuple(timed(answer, cell) for cell in wanted.cells))
    write_text(output, runs.model_dump_json())


def contender(job: Job) -> Answer:
    """The contender of a job with its model loaded."""
    if job.contender == "harness":
        from benchmarks.harness import Harness

        return Harness(job)
    if job.contender in {"llama.cpp", "llama.cpp f16"}:
        from benchmarks.llama_cpp import LlamaCpp

        return LlamaCpp(job)
    from benchmarks.contenders import OneByOne, Ours

    return OneByOne(job) if job.contender == "one by one" else Ours(job)


def timed(answer: Answer, cell: Cell) -> Run:
    """One run over the cell, with its seconds."""
    cpu, wall = cpu_seconds(), time.perf_counter()
    answers = answer(cell)
    return Run(
        cell=cell.name,
        cpu=cpu_seconds() - cpu,
        wall=time.perf_counter() - wall,
        answers=answers,
    )


def cpu_seconds() -> float:
    """User and system time of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
