"""How long the reports of 200,000 answers take: `python -m benchmarks.large_study FOLDER`.

Builds the study of `large_study_for_tests` in FOLDER unless it is there, runs every command that
the workflow runs after the last prediction, and prints one line of a Markdown table a step.
"""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from needlework.parsing import parse, read
from needlework.study.presentation import Shown
from tests.browser_for_tests import Browser
from tests.large_study_for_tests import make_large_study

PUBLISHED = Path("resources/published")
Words = tuple[object, ...]


def main(folder: Path) -> None:
    """Print the table, of the study in this folder."""
    study = folder / "nano"
    if not study.is_dir():
        make_large_study(folder)
    models = ("--models", study / "plan/models.json")
    reports = (*_tables(study, models), *_figures(study, models))
    for name, commands in (
        ("collect, 18 tables, 5 figures", (_collect(study), *reports)),
        ("claims, audit, findings, report", _pages(study, models)),
        ("explorer", [_explorer(study, models)]),
        ("artifact", [("artifact", study, folder / "artifact.zip", *_inputs())]),
        ("review", [("review", folder / "artifact.zip")]),
    ):
        sys.stdout.write(f"{_timed(name, commands)}\n")
        sys.stdout.flush()
    megabytes = (study / "explorer.html").stat().st_size / 1e6
    paint = _first_paint(study, folder)
    sys.stdout.write(f"explorer: {megabytes:.1f} MB, first paint {paint:.2f} s\n")


def _collect(study: Path) -> Words:
    grid = ("--grid", study / "plan/grid.json")
    return (
        "collect",
        study / "scores",
        study / "scores.parquet",
        study / "estimates.parquet",
        *grid,
    )


def _shown(study: Path) -> Shown:
    return parse(Shown, read(study / "plan/shown.json"), where="shown")


def _tables(study: Path, models: Words) -> Iterator[Words]:
    options = (*models, "--templates", "reports/templates")
    for table in _shown(study).tables:
        definition, stem = study / f"plan/tables/{table.name}.json", study / f"tables/{table.name}"
        if table.value == "models":
            yield ("models", definition, stem, *options)
        else:
            scores = sorted((study / "scores").glob(f"*/{table.suite}/*.parquet"))
            grid = ("--grid", study / "plan/grid.json")
            yield ("table", definition, stem, *scores, *grid, *options)


def _figures(study: Path, models: Words) -> Iterator[Words]:
    options = ("--grid", study / "plan/grid.json", "--costs", study / "plan/costs.json", *models)
    for figure in _shown(study).figures:
        scores = sorted((study / "scores").glob(f"*/{figure.suite}/*.parquet"))
        definition = study / f"plan/figures/{figure.name}.json"
        yield ("figure", definition, study / f"figures/{figure.name}", *scores, *options)


def _pages(study: Path, models: Words) -> Iterator[Words]:
    cells, scores = study / "estimates.parquet", study / "scores.parquet"
    keys = ("--study", study / "plan/study.json")
    grid = ("--grid", study / "plan/grid.json")
    shown = ("--shown", study / "plan/shown.json")
    published = ("--models", study / "plan/published_models.json")
    yield ("claims", cells, study / "claims", *grid, *models, "--explorer", "explorer.html")
    yield ("claims", PUBLISHED, study / "published_claims", *published)
    yield ("audit", PUBLISHED, "--output", study / "audit")
    yield ("findings", scores, cells, study / "findings", *keys, *grid, *models)
    yield ("report", study, scores, *keys, *shown, "--template", "reports/templates/report.md.j2")


def _explorer(study: Path, models: Words) -> Words:
    plan = ("--grid", study / "plan/grid.json", "--shown", study / "plan/shown.json")
    return ("explorer", study, study / "explorer.html", *plan, *models)


def _inputs() -> list[Path]:
    sources = [path for path in Path("workflow").rglob("*") if path.is_file()]
    published = [PUBLISHED / f"{name}.csv" for name in ("ruler", "depth", "format")]
    return [Path("Snakefile"), *sources, *Path("config").glob("*.yaml"), *published]


def _timed(name: str, commands: Iterable[Words]) -> str:
    """Commands one after the other, each a process of its own, as Snakemake runs them."""
    program = Path(sys.executable).with_name("needlework")
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    for words in commands:
        done = [str(program), *map(str, words)]
        subprocess.run(done, check=True, stdout=subprocess.DEVNULL, env=dict(os.environ))
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return f"| {name} | {cpu:.1f} | {wall:.1f} | {after.ru_maxrss / 1024:.0f} |"


def _first_paint(study: Path, folder: Path) -> float:
    """Seconds until Chromium has painted the first table, opened from disk."""
    with Browser(folder / "profile") as browser:
        browser.open((study / "explorer.html").as_uri())
        browser.wait("document.querySelector('main table') !== null")
        paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
        milliseconds: float = browser.wait(paint)
        table: float = browser.run("performance.now()")
    return max(milliseconds, table) / 1000


if __name__ == "__main__":
    main(Path(sys.argv[1]))
