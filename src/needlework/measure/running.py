"""From a question about a model to its answer: what is missing is fetched, Snakemake computes.

A run that was stopped resumes.
"""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from needlework import installed, terminal
from needlework.cost.listing import duration
from needlework.cost.study import planned
from needlework.errors import ResourceError
from needlework.external import fetching, locks
from needlework.external.fetching import Fetcher
from needlework.external.registry import DIRECTORY, registry
from needlework.measure import fitting
from needlework.measure.answer import read_measured, sentences
from needlework.measure.describing import Described, describe
from needlework.measure.question import MAIN, Question, write_study
from needlework.parsing import read_keys
from needlework.study import downloads, plan
from needlework.study.catalogue import read_models, read_tasks
from needlework.study.downloads import CONFIG
from needlework.study.inputs import READ
from needlework.study.pins import pinned

EXIT_INTERRUPTED = 130
AGAIN = ("no answer yet; what is missing is computed by", "stopped; to go on where it was")
"""What to say of the command where a run failed, and where it was stopped."""


def measure(question: Question, *, dtype: str) -> int:
    """The exit code of a measurement, whose answer was printed; 0 when there is one.

    Raises:
        NeedleworkError: the model cannot be measured as it is, or something cannot be fetched.
    """
    fetcher = Fetcher(
        registry=registry(),
        directory=DIRECTORY,
        mirror=fetching.mirror_from_environment(),
        lock=locks.known(locks.PATH),
        meter=terminal.meter,
    )
    described = describe(
        question.model,
        pinned(read_models(CONFIG / "models.yaml"), fetcher.lock),
        fetch=lambda hub: downloads.fetch_repository(hub, fetcher),
        dtype=dtype,
    )
    for line in described.said:
        click.echo(terminal.printable(line))
    path = write_study(question, described, _tasks(question, described, fetcher))
    _prepare(path, replace(fetcher, lock=locks.known(locks.PATH)))
    code = _run(path)
    if code:
        click.echo(f"needlework: {AGAIN[code == EXIT_INTERRUPTED]}: {question.command}", err=True)
        return code
    asked = question.at(described.material)
    for line in sentences(read_measured(path.parent, asked)):
        click.echo(line)
    return 0


def _tasks(question: Question, described: Described, fetcher: Fetcher) -> list[str]:
    """The tasks of the main suite: those that were named, or RULER's, of which files are there."""
    known = getattr(read_tasks(CONFIG / "tasks.yaml"), described.material)
    chosen = known.chosen(MAIN, question.tasks or None, where="--tasks")
    if question.tasks or described.material == "nano":
        return list(chosen)
    missing = dict(_missing(fetcher))
    for need, reason in missing.items():
        names = ", ".join(name for name, spec in chosen.items() if need in spec.needs)
        click.echo(f"left out: {names}, whose questions cannot be had ({reason})")
    return [name for name, spec in chosen.items() if not missing.keys() & set(spec.needs)]


def _missing(fetcher: Fetcher) -> Iterator[tuple[str, str]]:
    """The files of questions that are not here and cannot be fetched, and why."""
    for need in ("squad", "hotpotqa"):
        for name in READ[need]:
            try:
                list(fetcher.fetch(name))
            except ResourceError as error:
                yield need, str(error)


def _prepare(path: Path, fetcher: Fetcher) -> None:
    """Fetch what the study lacks, and say what it will cost.

    Raises:
        BudgetError: a task does not fit into the shortest length.
        ResourceError: something cannot be fetched.
    """
    resolved = plan.resolve(read_keys(path), CONFIG)
    if not _is_here(resolved):
        downloads.fetch_study(path, fetcher)
    fitting.check(resolved)
    cells = planned(resolved)
    said = ""
    if cells:
        said = f"; estimated {duration(sum(cell.hours for cell in cells))} on one {cells[0].device}"
    click.echo(f"{path}: {len(resolved.grid().cells())} cells to answer{said}")


def _is_here(resolved: plan.Plan) -> bool:
    """Whether nothing of a study has to be locked or fetched any more."""
    try:
        resolved.lock.refuse_unlocked(resolved.repositories())
    except ResourceError:
        return False
    return all(Path(name).exists() for name in resolved.external_files())


def _run(path: Path) -> int:
    """The exit code of Snakemake on a study.

    Ctrl-C reaches Snakemake and its jobs by themselves; they end in order, which is waited for.
    """
    command = [sys.executable, "-m", "snakemake"]
    command += ["--snakefile", str(installed.find("workflow/Snakefile"))]
    command += ["--workflow-profile", str(installed.find("profiles/default"))]
    command += ["--configfile", str(path), "--cores", "all", "--quiet", "all"]
    with subprocess.Popen(command) as process:
        stopped = False
        while True:
            try:
                code = process.wait()
            except KeyboardInterrupt:
                stopped = True
            else:
                return EXIT_INTERRUPTED if stopped else code
