"""The measurement: contenders answer the same prompts, each in a process of its own, in turns."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import pieces
from benchmarks.export import export
from benchmarks.jobs import Cell, Contender, Job, Run, Runs, Task
from benchmarks.result import Result, Turn
from needlework import tasks, tokenizers
from needlework.errors import EngineError
from needlework.files import write_text
from needlework.nano import language
from needlework.nano.architectures import TRAINED_LENGTH
from needlework.sources import ROOT
from needlework.study.catalogue import read_tasks
from needlework.tasks.material import Material
from needlework.tasks.specs import Spec
from needlework.tokenizers import Tokenizer

MODELS = ("llama", "mamba2")
"""Nano architectures that transformers computes, too."""
LENGTHS = (TRAINED_LENGTH, 4 * TRAINED_LENGTH)
SEED = 42
NANO = Path("resources") / "nano"


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much is measured. Samples are independent draws, so the first ones are a fair few."""

    samples: int
    """Of each task, answered by us."""
    harness_samples: int
    one_by_one_samples: int
    rounds: int
    threads: int


def measure(effort: Effort, folder: Path, harness: Path) -> Result:
    """Let everybody answer everything; `harness` is a Python that has lm_eval.

    Raises:
        EngineError: a contender failed; its last line says why.
    """
    cells = tuple(_cells(effort.samples))
    for model in MODELS:
        export(NANO / model, NANO / "tokenizer", folder / "hub" / model)
    turns = [
        turn
        for number in range(effort.rounds)
        for model in MODELS
        for turn in _round(number, model, cells, effort, folder, harness)
    ]
    return Result(
        samples=effort.samples,
        harness_samples=min(effort.samples, effort.harness_samples),
        one_by_one_samples=min(effort.samples, effort.one_by_one_samples),
        threads=effort.threads,
        turns=tuple(turns),
        planning_seconds=pieces.planning_seconds(),
        append_seconds=pieces.journal_seconds(folder),
        peak_flops=pieces.peak_flops(),
    )


def _cells(samples: int) -> Iterator[Cell]:
    """Both suites of the nano study at every length."""
    known = read_tasks(Path("config/tasks.yaml")).nano
    tokenizer = tokenizers.load(str(NANO / "tokenizer"))
    for suite in ("ruler", "depth"):
        for length in LENGTHS:
            yield asked_cell(
                f"{suite}/{length}",
                known.chosen(suite, None, where=suite),
                material=language.material(),
                tokenizer=tokenizer,
                length=length,
                samples=samples,
            )


def asked_cell(
    name: str,
    specs: Mapping[str, Spec],
    *,
    material: Material,
    tokenizer: Tokenizer,
    length: int,
    samples: int,
) -> Cell:
    """A cell of these tasks, each with so many samples."""
    made = []
    for task, spec in specs.items():
        rows = tasks.generate(
            spec,
            material=material,
            tokenizer=tokenizer,
            length=length,
            samples=samples,
            seed=SEED,
            task=task,
        )
        made.append(
            Task(
                name=task,
                samples=tuple(sample for sample, _ in rows),
                tokens_to_generate=spec.tokens_to_generate,
                metric=spec.metric,
            )
        )
    return Cell(name=name, tasks=tuple(made))


def _round(
    number: int, model: str, cells: tuple[Cell, ...], effort: Effort, folder: Path, harness: Path
) -> Iterator[Turn]:
    """Every contender once, one after the other."""
    few: dict[Contender, int] = {
        "one by one": effort.one_by_one_samples,
        "harness": effort.harness_samples,
        "ours alone": effort.samples,
        "ours": effort.samples,
        "ours decided": effort.samples,
    }
    for contender, samples in few.items():
        elsewhere = contender in {"one by one", "harness"}
        job = Job(
            contender=contender,
            checkpoint=folder / "hub" / model if elsewhere else NANO / model,
            tokenizer=NANO / "tokenizer",
            threads=effort.threads,
            cells=tuple(cell.few(samples) for cell in cells),
        )
        python = harness if contender == "harness" else Path(sys.executable)
        for run in run_job(job, folder / f"{model} {contender}", python):
            yield Turn(number=number, model=model, contender=contender, run=run)


def run_job(job: Job, folder: Path, python: Path) -> tuple[Run, ...]:
    """Run a job in a fresh process; both read the same sources.

    Raises:
        EngineError: it failed.
    """
    write_text(folder / "job.json", job.model_dump_json())
    output = folder / "runs.json"
    given = (str(folder / "job.json"), str(output))
    try:
        run_python(python, "benchmarks.worker", *given, threads=job.threads)
    except EngineError as error:
        raise EngineError(
            f"{job.contender} failed: {error}; its job is {folder / 'job.json'}"
        ) from error
    return Runs.model_validate_json(output.read_bytes()).runs


def run_python(python: Path, module: str, *words: str, threads: int = 1) -> str:
    """What a module prints in another Python, which reads the same sources and has no network.

    Raises:
        EngineError: it failed; the last line that it said.
    """
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join((str(ROOT.parent), str(Path(__file__).parents[1]))),
        "OMP_NUM_THREADS": str(threads),
        "HF_HUB_OFFLINE": "1",
    }
    command = [str(python), "-m", module, *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineError((done.stderr.strip().splitlines() or ["it said nothing"])[-1])
    return done.stdout
