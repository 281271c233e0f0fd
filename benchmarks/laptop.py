"""A real model beside what people use: the same prompts and weights, greedily, on one core.

The weights are those of a GGUF file: transformers and lm-evaluation-harness make float32 numbers of
it, llama.cpp reads it as it is and rounded to f16.
"""

import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import pieces
from benchmarks.jobs import Cell, Contender, Job, Run, Runs, address
from benchmarks.measure import asked_cell, run_job
from needlework import tokenizers
from needlework.models.checkpoints.gguf_rounding import round_weights
from needlework.parsing import Closed
from needlework.statistics.means import Estimate, estimate
from needlework.study.catalogue import read_tasks
from needlework.tasks import chat, english
from needlework.tasks.metrics import score

TASKS = ("niah_single_2", "niah_multikey_2", "vt", "cwe")
"""One needle, a needle among many, what has to be followed, and the longest answer."""
OURS: tuple[Contender, ...] = ("ours alone", "ours", "ours decided", "ours bfloat16")
ROWS = 16
"""Prompts in one batch of the harness: more need more memory than a laptop has at 4,096 tokens."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is to be measured."""

    checkpoint: Path
    """A GGUF file with a chat template."""
    lengths: Sequence[int]
    tasks: Sequence[str]
    samples: int
    """Of each task."""
    rounds: int
    threads: int
    harness: Path
    """A Python that has lm_eval."""
    llama_cpp: Path | None
    """A Python that has llama_cpp; without one it is left out."""


class Round(Closed):
    """One contender on one cell in one round."""

    number: int
    contender: Contender
    run: Run
    score: Estimate
    """Over the samples of all tasks."""


class Laptop(Closed):
    """Everything that was measured."""

    checkpoint: str
    processor: str
    threads: int
    samples: int
    tasks: tuple[str, ...]
    rounds: tuple[Round, ...]
    peak_flops: Mapping[str, float]
    """Operations a second of one core in large matrix products, by dtype."""


def measure(asked: Asked, folder: Path, resources: Path) -> Laptop:
    """Let everybody answer everything; files of the work lie in `folder`.

    Stopped, it goes on with the contender it had come to.

    Raises:
        EngineError: a contender failed; its last line says why.
        NeedleworkError: RULER's texts are not in `resources`, or the file is no such model.
    """
    cells = tuple(_cell(asked, length, resources) for length in asked.lengths)
    return Laptop(
        checkpoint=asked.checkpoint.name,
        processor=processor(),
        threads=asked.threads,
        samples=asked.samples,
        tasks=tuple(asked.tasks),
        rounds=tuple(_rounds(asked, cells, folder)),
        peak_flops={name: pieces.peak_flops(name) for name in ("float32", "bfloat16")},
    )


def _cell(asked: Asked, length: int, resources: Path) -> Cell:
    """RULER's own prompts in the model's chat template, as in the laptop study."""
    known = read_tasks(Path("config/tasks.yaml")).english.tasks
    reader = str(asked.checkpoint)
    material = english.material(resources, None, wording="ruler")
    material = replace(material, wrapper=chat.wrapper(reader, revision=None))
    return asked_cell(
        f"{length:,} tokens",
        {name: known[name] for name in asked.tasks},
        material=material,
        tokenizer=tokenizers.load(reader, begins=False),
        length=length,
        samples=asked.samples,
    )


def _rounds(asked: Asked, cells: tuple[Cell, ...], folder: Path) -> Iterator[Round]:
    """Every contender once a round, one after the other."""
    contenders = tuple(_contenders(asked, folder))
    for number in range(asked.rounds):
        for contender, checkpoint, python in contenders:
            job = Job(
                contender=contender,
                checkpoint=checkpoint.resolve(),
                tokenizer=asked.checkpoint.resolve(),
                begins=False,
                rows=ROWS,
                threads=asked.threads,
                cells=cells,
            )
            runs = _runs(job, folder / str(number + 1) / contender, python)
            for cell, run in zip(cells, runs, strict=True):
                yield Round(number=number, contender=contender, run=run, score=scored(cell, run))


def _runs(job: Job, folder: Path, python: Path) -> tuple[Run, ...]:
    """The runs of a job; one that was done before, word for word, is not done again."""
    asked, done = folder / "job.json", folder / "runs.json"
    if done.exists() and asked.read_text(encoding="utf-8") == job.model_dump_json():
        return Runs.model_validate_json(done.read_bytes()).runs
    done.unlink(missing_ok=True)
    return run_job(job, folder, python)


def _contenders(asked: Asked, folder: Path) -> Iterator[tuple[Contender, Path, Path]]:
    """Who answers, from which file, in which Python."""
    own = Path(sys.executable)
    yield "one by one", asked.checkpoint, own
    yield "harness", asked.checkpoint, asked.harness
    if asked.llama_cpp is not None:
        wide = folder / f"{asked.checkpoint.stem}-F16.gguf"
        if not wide.exists():
            round_weights(asked.checkpoint, wide, "F16")
        yield "llama.cpp f16", wide, asked.llama_cpp
        yield "llama.cpp", asked.checkpoint, asked.llama_cpp
    for contender in OURS:
        yield contender, asked.checkpoint, own


def scored(cell: Cell, run: Run) -> Estimate:
    """The mean score of the answers of a cell, by RULER's rules."""
    return estimate(
        [
            score(
                run.answers.texts[address(task.name, each.index)], each.outputs, metric=task.metric
            )
            for task in cell.tasks
            for each in task.samples
        ]
    )


def processor() -> str:
    """What the processor calls itself, as far as the system tells."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def check_llama_cpp(python: Path) -> str | None:
    """Why llama.cpp cannot take part, in one line; None where it can."""
    if not python.exists():
        return f"{python} is absent; `make .venv-servers/ready` builds it, in ten minutes and more"
    done = subprocess.run(
        [str(python), "-c", "import llama_cpp"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return f"{python} cannot import llama_cpp ({last})"
    return None
