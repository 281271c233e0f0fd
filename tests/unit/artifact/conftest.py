"""A small study with all of its pages, and its artifact; made once, copied for each test."""

import atexit
import json
import shutil
from collections.abc import Sequence
from contextlib import chdir
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from click.testing import CliRunner

from needlework.artifact import rendering
from needlework.artifact.bundle import write_artifact
from needlework.cli import cli
from needlework.report.figures import EXPLAIN, write_figure
from needlework.study.definitions import FigureDefinition
from needlework.study.plan import Plan
from needlework.study.presentation import WHY
from tests.whole_study_for_tests import make_study

ROOT = Path(__file__).parents[3]
STUDY = Path("config/asked.yaml")
"""The study's own file, in the project that it is bundled from."""
INPUTS = [
    Path("Snakefile"),
    Path("workflow/Snakefile"),
    Path("config/models.yaml"),
    Path("config/models.lock.yaml"),
    Path("config/tasks.yaml"),
    Path("config/tables/paper.yaml"),
    STUDY,
    *(
        Path("resources/published", path.name)
        for path in sorted((ROOT / "resources/published").glob("*.csv"))
    ),
]


@cache
def project() -> Path:
    """A project that holds the inputs, and asks for the study."""
    folder = Path(mkdtemp(prefix="needlework-project-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for path in INPUTS:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        if path != STUDY:
            shutil.copyfile(ROOT / path, folder / path)
    return folder


def bundle(study: Path, output: Path, *, inputs: Sequence[Path] = INPUTS) -> None:
    """Bundle a study from the project that asks for it."""
    asked = json.loads((study / "plan/study.json").read_text(encoding="utf-8"))
    with chdir(project()):
        if not STUDY.exists():
            STUDY.write_text(json.dumps(asked), encoding="utf-8")
        write_artifact(study.absolute(), output.absolute(), inputs=inputs)


def run(*words: object) -> str:
    """Run a command that must succeed; what it printed."""
    result = CliRunner().invoke(cli, list(map(str, words)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def render_pages(study: Path, plan: Plan) -> None:
    """Every table and page that a review renders again."""
    models = ["--models", study / "plan/models.json"]
    templates = ["--templates", "reports/templates"]
    cells, scores = study / "estimates.parquet", study / "scores.parquet"
    diagnosis = study / "diagnosis.parquet"
    config = ["--study", study / "plan/study.json"]
    shown = ["--shown", study / "plan/shown.json"]
    grid = ["--grid", study / "plan/grid.json"]
    for table in plan.shows.tables:
        definition, stem = study / f"plan/tables/{table.name}.json", study / f"tables/{table.name}"
        if table.value == "models":
            run("models", definition, stem, *models, *templates)
        elif table.value in WHY:
            run("explain", definition, stem, diagnosis, *grid, *models, *templates)
        else:
            run("table", definition, stem, scores, *grid, *models, *templates)
    explorer = ["--explorer", "explorer.html"]
    run("claims", scores, study / "claims", *config, *grid, *models, *shown, *explorer)
    published = ["--models", study / "plan/published_models.json", *shown]
    run("claims", "resources/published", study / "published_claims", *published)
    costs = ["--costs", study / "plan/costs.json"]
    for figure in plan.shows.figures:
        definition = study / f"plan/figures/{figure.name}.json"
        stem = study / f"figures/{figure.name}"
        reasons = ["--diagnosis", diagnosis] if figure.kind in EXPLAIN else []
        run("figure", definition, stem, scores, *config, *grid, *models, *costs, *reasons)
    run("explorer", study, study / "explorer.html", *grid, *models, *shown)
    run("audit", "resources/published", "--output", study / "audit")
    run("findings", scores, cells, study / "findings", *config, *grid, *models)
    run(
        *("results", scores, cells, study / "results.json", *config, *grid, *models),
        *("--predictions", study / "predictions"),
    )
    template = ["--template", "reports/templates/report.md.j2"]
    run("report", study, scores, diagnosis, *config, *grid, *models, *shown, *template)


DRAWN: dict[str, dict[str, bytes]] = {}
"""The files of every figure that was drawn, by all that decides them."""


def _drawn_once(
    figure: FigureDefinition,
    scores: Sequence[Path],
    output: Path,
    *,
    benchmarks: Path,
    **known: Any,
) -> None:
    measured = [path.read_bytes() for path in sorted(benchmarks.rglob("*.tsv"))]
    key = repr((figure, [path.read_bytes() for path in scores], measured, known))
    if key not in DRAWN:
        write_figure(figure, scores, output, benchmarks=benchmarks, **known)
        files = output.parent.glob(f"{output.name}.*")
        DRAWN[key] = {path.name.removeprefix(output.name): path.read_bytes() for path in files}
    output.parent.mkdir(parents=True, exist_ok=True)
    for suffix, content in DRAWN[key].items():
        output.with_name(output.name + suffix).write_bytes(content)


@pytest.fixture(autouse=True)
def drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reviews draw a figure once for all tests in which it shows the same scores."""
    monkeypatch.setattr(rendering, "write_figure", _drawn_once)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    plan = make_study(folder, samples=3, models=("nano-mamba2", "nano-llama"))
    render_pages(folder / "nano", plan)
    bundle(folder / "nano", folder / "artifact.zip")
    return folder


@pytest.fixture
def study(finished: Path, tmp_path: Path) -> Path:
    """The folder of a finished study, to be changed at will."""
    return Path(shutil.copytree(finished / "nano", tmp_path / "nano"))


@pytest.fixture
def archive(finished: Path) -> Path:
    """The untouched artifact of the finished study."""
    return finished / "artifact.zip"
