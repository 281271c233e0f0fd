"""Every page and table of an unpacked artifact, rendered again from its scores.

Templates are those of this project, never the artifact's: a template is a program.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from needlework.artifact import reading
from needlework.artifact.bundle import INPUTS, MANIFEST, STUDY, Manifest
from needlework.artifact.comparing import EXPLORER
from needlework.cost.study import PlannedCell
from needlework.errors import ArtifactError
from needlework.hazards.page import write_hazards
from needlework.paper.agreement_page import write_agreement
from needlework.paper.audit import audit
from needlework.paper.audit_page import write_audit
from needlework.paper.claims import judge
from needlework.paper.claims_page import write_claims
from needlework.paper.comparison_page import write_comparison
from needlework.paper.evidence import Evidence, Published, read_evidence, read_models
from needlework.paper.published import read_tables
from needlework.parsing import parse, read
from needlework.report.charts import SUFFIXES
from needlework.report.explorer.page import write_explorer
from needlework.report.figures import write_figure
from needlework.report.findings import write_findings
from needlework.report.notes import Verified, read_verified
from needlework.report.results import write_results
from needlework.report.summary import write_report
from needlework.report.tables import Measured, read_measured, write_models, write_table
from needlework.study.config import ShownModel, Study
from needlework.study.definitions import FigureDefinition, TableDefinition
from needlework.study.grid import Grid
from needlework.study.presentation import Page, Shown
from needlework.study.variants import StudiedModel

Content = TypeVar("Content")

SAMPLES = 250
"""Samples behind each published score."""


class Output(NamedTuple):
    """Files that one command makes, and how."""

    names: tuple[str, ...]
    command: str
    make: Callable[[], object]


@dataclass(frozen=True)
class _Again:
    """Where the scores of an artifact lie that were computed anew, and what its pages need."""

    artifact: Path
    again: Path
    templates: Path

    @property
    def cells(self) -> Path:
        return self.again / "estimates.parquet"

    @property
    def scores(self) -> Path:
        return self.again / "scores.parquet"

    @property
    def published(self) -> Path:
        return self.artifact / INPUTS / "resources/published"

    def models(self) -> tuple[ShownModel, ...]:
        found = reading.models(self.artifact)
        if {model.name for model in found} != set(self.grid().models):
            raise ArtifactError("plan/models.json: not the models of plan/grid.json")
        return found

    def study(self) -> Study:
        return self._plan("study", Study)

    def _plan(self, part: str, kind: type[Content]) -> Content:
        return parse(kind, read(self._path(part)), where=f"plan/{part}.json")

    def _path(self, part: str) -> Path:
        return self.artifact / STUDY / "plan" / f"{part}.json"

    @cached_property
    def measured(self) -> Measured:
        return read_measured(
            [self.scores],
            grid=self.grid(),
            models=self.models(),
            verified=self.verified(),
        )

    def grid(self) -> Grid:
        return reading.grid(self.artifact)

    def shown(self) -> Shown:
        return self._plan("shown", Shown)

    def table(self, definition: TableDefinition, stem: str, *, intervals: bool = False) -> None:
        output, templates = self.again / stem, self.templates
        if definition.value == "models":
            write_models(
                definition,
                output,
                models=self.models(),
                templates=templates,
                verified=self.verified(),
            )
        else:
            write_table(definition, output, self.measured, templates=templates, intervals=intervals)

    def figure(self, figure: FigureDefinition, stem: str) -> None:
        write_figure(
            figure,
            [self.scores],
            self.again / stem,
            grid=self.grid(),
            models=self.models(),
            planned=self._plan("costs", tuple[PlannedCell, ...]) if figure.kind == "cost" else (),
            benchmarks=self.artifact / STUDY / "benchmarks",
        )

    def hazards(self) -> None:
        write_hazards(
            self.study(),
            self._plan("hazards", tuple[StudiedModel, ...]),
            self.again,
            scores=self.scores,
            templates=self.templates,
        )

    def explorer(self) -> None:
        """The page names the study by its folder, which has another name in an artifact."""
        folder = self.again / "explored" / self.study().study
        folder.parent.mkdir()
        folder.symlink_to(self.artifact / STUDY, target_is_directory=True)
        write_explorer(
            folder,
            self.again / EXPLORER,
            grid=self.grid(),
            models=self.models(),
            tables=self.shown().tables,
        )

    def comparison(self, table: TableDefinition, stem: str) -> None:
        write_comparison(
            table,
            self.published,
            self.cells,
            self.again / stem,
            grid=self.grid(),
            models=self.models(),
            samples=SAMPLES,
            templates=self.templates,
        )

    def agreement(self) -> None:
        write_agreement(
            self.published,
            self.cells,
            self.again / "agreement",
            grid=self.grid(),
            models=self.models(),
            samples=SAMPLES,
            templates=self.templates,
        )

    def verified(self) -> Verified | None:
        paths = sorted((self.artifact / STUDY / "verified").glob("*.json"))
        return read_verified(paths) if paths else None

    def claims(self) -> None:
        evidence = read_evidence(self.cells, samples=SAMPLES, grid=self.grid())
        self._judge(evidence, self._path("models"), "claims")

    def published_claims(self) -> None:
        evidence = read_evidence(self.published, samples=SAMPLES)
        self._judge(evidence, self._path("published_models"), "published_claims")

    def _judge(self, evidence: Evidence, described: Path, name: str) -> None:
        is_published = isinstance(evidence, Published)
        write_claims(
            judge(evidence, read_models(described, evidence)),
            self.again / name,
            tables=self.shown().claims,
            files=() if is_published else {table.name for table in self.shown().tables},
            templates=self.templates,
            inferred=SAMPLES if is_published else None,
            explorer=None if is_published else EXPLORER,
        )

    def audit(self) -> None:
        result = audit(read_tables(self.published), samples=SAMPLES)
        write_audit(result, self.again / "audit", samples=SAMPLES, templates=self.templates)

    def findings(self) -> None:
        write_findings(
            self.study(),
            self.again / "findings",
            scores=self.scores,
            cells=self.cells,
            grid=self.grid(),
            models=self.models(),
            templates=self.templates,
        )

    def report(self) -> None:
        template = self.templates / "report.md.j2"
        write_report(self.study(), self.shown(), self.again, scores=self.scores, template=template)

    def results(self) -> None:
        write_results(
            self.study(),
            self.again / "results.json",
            scores=self.scores,
            cells=self.cells,
            predictions=self.artifact / STUDY / "predictions",
            grid=self.grid(),
            models=self.models(),
            version=parse(Manifest, read(self.artifact / MANIFEST), where=MANIFEST).version,
        )


def outputs(artifact: Path, again: Path, templates: Path) -> Iterator[Output]:
    """What a study shows: each output is made below `again`, from the scores that lie there."""
    made = _Again(artifact, again, templates)
    shown = made.shown()
    if "hazards" in shown.pages:
        yield Output((EXPLORER,), f"needlework explorer study {EXPLORER}", made.explorer)
        names = ("hazards.md", "hazards.csv", *_figure("hazard_waterfall", SUFFIXES))
        yield Output(names, "needlework hazards study/scores.parquet .", made.hazards)
        return
    yield from _tables(made, shown)
    yield from _comparisons(made, shown)
    for figure in shown.figures:
        stem = f"figures/{figure.name}"
        yield Output(
            _figure(figure.name, (*SUFFIXES, ".csv")),
            f"needlework figure study/plan/{stem}.json {stem} study/scores.parquet",
            partial(made.figure, figure, stem),
        )
    pages = _pages(made)
    for page in shown.pages:
        suffixes, command, make = pages[page]
        names = tuple(f"{page}{end}" for end in suffixes)
        yield Output(names, f"needlework {command}", make)


def _tables(made: _Again, shown: Shown) -> Iterator[Output]:
    """Every table, and with the interval of every number those that were made so."""
    for table in shown.tables:
        stem, definition = f"tables/{table.name}", f"study/plan/tables/{table.name}.json"
        is_list = table.value == "models"
        yield Output(
            _kinds(stem),
            f"needlework {'models' if is_list else 'table'} {definition} {stem}"
            f"{'' if is_list else ' study/scores.parquet'}",
            partial(made.table, table, stem),
        )
        stem = f"intervals/{table.name}"
        if any((made.artifact / STUDY / name).is_file() for name in _kinds(stem)):
            command = f"needlework table {definition} {stem} study/scores.parquet --intervals"
            yield Output(_kinds(stem), command, partial(made.table, table, stem, intervals=True))


def _kinds(stem: str) -> tuple[str, ...]:
    return tuple(f"{stem}.{kind}" for kind in ("md", "tex", "csv"))


def _comparisons(made: _Again, shown: Shown) -> Iterator[Output]:
    """Each table of the paper beside the published one, where the study has its models."""
    for name, table in shown.comparisons.items():
        stem = f"tables/{name}"
        yield Output(
            (f"{stem}.md", f"{stem}.csv"),
            f"needlework comparison study/plan/comparisons/{name}.json inputs/resources/published"
            " study/estimates.parquet",
            partial(made.comparison, table, stem),
        )


def _figure(name: str, suffixes: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"figures/{name}{suffix}" for suffix in suffixes)


def _pages(made: _Again) -> dict[Page, tuple[tuple[str, ...], str, Callable[[], object]]]:
    """Of each page the suffixes of its files, the command and what carries it out."""
    published, scores = "inputs/resources/published", "study/scores.parquet"
    page = (".md", ".csv")
    findings = (".md", ".pairs.csv", ".bootstrap.csv")
    cells = "study/estimates.parquet"
    return {
        "explorer": ((".html",), "explorer study explorer.html", made.explorer),
        "claims": (page, f"claims {cells} claims", made.claims),
        "published_claims": (page, f"claims {published} published_claims", made.published_claims),
        "audit": (page, f"audit {published} --output audit", made.audit),
        "findings": (findings, f"findings {scores} {cells} findings", made.findings),
        "agreement": (
            (*page, *SUFFIXES),
            f"agreement {published} {cells} agreement",
            made.agreement,
        ),
        "report": ((".md",), f"report study {scores}", made.report),
        "results": ((".json",), f"results {scores} {cells} results.json", made.results),
    }
