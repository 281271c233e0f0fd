"""Every page and table of an unpacked artifact, rendered again from its scores.

Knows which command makes which file; templates are those of this project, never the artifact's, for
a template is a program.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from needlework.artifact.bundle import INPUTS, STUDY
from needlework.audit import audit
from needlework.claims import judge
from needlework.cost.study import PlannedCell
from needlework.errors import ArtifactError
from needlework.evidence import Evidence, Published, read_evidence, read_models
from needlework.paper import MODELS as PAPER_MODELS
from needlework.paper import MODELS_TABLE, NUMBERS
from needlework.parsing import parse, read
from needlework.published import read_tables
from needlework.report.agreement import write_agreement
from needlework.report.audit import write_audit
from needlework.report.charts import SUFFIXES
from needlework.report.claims import write_claims
from needlework.report.comparison import write_comparison
from needlework.report.explorer.page import write_explorer
from needlework.report.figures import COST, FIGURES, write_figure
from needlework.report.findings import write_findings
from needlework.report.hazards import write_hazards
from needlework.report.notes import Verified, read_verified
from needlework.report.summary import write_report
from needlework.report.tables import Measured, read_measured, write_models, write_table
from needlework.study import Grid, LengthTable, ShownModel, Study
from needlework.variants import StudiedModel

Content = TypeVar("Content")

SAMPLES = 250
"""Samples behind each published score."""
EXPLORER = "explorer.html"


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
        return self.again / "cells.parquet"

    @property
    def scores(self) -> Path:
        return self.again / "scores.parquet"

    @property
    def published(self) -> Path:
        return self.artifact / INPUTS / "resources/published"

    def models(self) -> tuple[ShownModel, ...]:
        found = self._plan("models", tuple[ShownModel, ...])
        if {model.name for model in found} != set(self._plan("grid", Grid).models):
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
            self.cells,
            self.scores,
            grid=self._plan("grid", Grid),
            models=self.models(),
            verified=self.verified(),
        )

    @property
    def own(self) -> Mapping[str, LengthTable] | None:
        tables = self.study().tables
        return tables if isinstance(tables, dict) else None

    def table(self, number: int | str, stem: str, *, intervals: bool = False) -> None:
        output, templates, own = self.again / stem, self.templates, self.own
        if number == MODELS_TABLE:
            write_models(
                output, models=self.models(), templates=templates, verified=self.verified()
            )
        else:
            write_table(
                number, output, self.measured, templates=templates, intervals=intervals, own=own
            )

    def figure(self, kind: str, stem: str) -> None:
        write_figure(
            kind,
            self.cells,
            self.again / stem,
            grid=self._plan("grid", Grid),
            models=self.models(),
            planned=self._plan("costs", tuple[PlannedCell, ...]) if kind == COST else (),
            benchmarks=self.artifact / INPUTS / "benchmarks" / self.study().study,
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
        write_explorer(folder, self.again / EXPLORER, models=self.models(), own=self.own)

    def comparison(self, number: int, stem: str) -> None:
        write_comparison(
            number,
            self.published,
            self.cells,
            self.again / stem,
            grid=self._plan("grid", Grid),
            models=self.models(),
            samples=SAMPLES,
            templates=self.templates,
        )

    def agreement(self) -> None:
        write_agreement(
            self.published,
            self.cells,
            self.again / "agreement",
            models=self.models(),
            samples=SAMPLES,
            templates=self.templates,
        )

    def verified(self) -> Verified | None:
        paths = sorted((self.artifact / STUDY / "verified").glob("*.json"))
        return read_verified(paths) if paths else None

    def claims(self) -> None:
        evidence = read_evidence(self.cells, samples=SAMPLES)
        self._judge(evidence, self._path("models"), "claims")

    def published_claims(self) -> None:
        evidence = read_evidence(self.published, samples=SAMPLES)
        self._judge(evidence, self._path("published_models"), "published_claims")

    def _judge(self, evidence: Evidence, described: Path, name: str) -> None:
        is_published = isinstance(evidence, Published)
        write_claims(
            judge(evidence, read_models(described, evidence)),
            self.again / name,
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
            models=self.models(),
            templates=self.templates,
        )

    def report(self) -> None:
        template = self.templates / "report.md.j2"
        write_report(self.study(), self.again, scores=self.scores, template=template)


def outputs(artifact: Path, again: Path, templates: Path) -> Iterator[Output]:
    """What a study shows: each output is made below `again`, from the scores that lie there."""
    made = _Again(artifact, again, templates)
    yield Output((EXPLORER,), f"needlework explorer study {EXPLORER}", made.explorer)
    if made.study().hazards:
        names = ("hazards.md", "hazards.csv", *_figure("hazard_waterfall", SUFFIXES))
        yield Output(names, "needlework hazards study/scores.parquet .", made.hazards)
        return
    yield from _tables(made)
    yield from _comparisons(made)
    for kind in (*FIGURES, COST) if made.own is None else made.study().figures:
        yield Output(
            _figure(kind, (*SUFFIXES, ".csv")),
            f"needlework figure {kind} study/cells.parquet figures/{kind}",
            partial(made.figure, kind, f"figures/{kind}"),
        )
    for name, suffixes, command, make in _pages(made):
        yield Output(tuple(f"{name}{end}" for end in suffixes), f"needlework {command}", make)


def _tables(made: _Again) -> Iterator[Output]:
    """Every table, and with the interval of every number those that were made so."""
    for number in NUMBERS if made.own is None else made.own:
        command = f"needlework table {number} study/cells.parquet study/scores.parquet"
        label = f"{number:02}" if isinstance(number, int) else number
        stem = f"tables/table_{label}"
        yield Output(
            _kinds(stem),
            f"needlework models {stem}" if number == MODELS_TABLE else f"{command} {stem}",
            partial(made.table, number, stem),
        )
        stem = f"intervals/table_{label}"
        if any((made.artifact / STUDY / name).is_file() for name in _kinds(stem)):
            make = partial(made.table, number, stem, intervals=True)
            yield Output(_kinds(stem), f"{command} {stem} --intervals", make)


def _kinds(stem: str) -> tuple[str, ...]:
    return tuple(f"{stem}.{kind}" for kind in ("md", "tex", "csv"))


def _comparisons(made: _Again) -> Iterator[Output]:
    """Each table beside the published one, where the study measures the models of the paper."""
    if _is_published(made) and made.own is None:
        for number in (number for number in NUMBERS if number != MODELS_TABLE):
            stem = f"tables/comparison_{number:02}"
            yield Output(
                (f"{stem}.md", f"{stem}.csv"),
                f"needlework comparison {number} inputs/resources/published study/cells.parquet",
                partial(made.comparison, number, stem),
            )


def _is_published(made: _Again) -> bool:
    """Whether some model of the study is one of the published tables."""
    return bool({model.name for model in made.models()} & set(PAPER_MODELS))


def _figure(name: str, suffixes: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"figures/{name}{suffix}" for suffix in suffixes)


def _pages(made: _Again) -> Iterator[tuple[str, tuple[str, ...], str, Callable[[], object]]]:
    """Pages: the stem of their files, the suffixes, the command and what carries it out."""
    published, scores = "inputs/resources/published", "study/scores.parquet"
    page = (".md", ".csv")
    yield "report", (".md",), f"report study {scores}", made.report
    if made.own is not None:
        return
    yield "claims", page, "claims study/cells.parquet claims", made.claims
    yield "published_claims", page, f"claims {published} published_claims", made.published_claims
    yield "audit", page, f"audit {published} --output audit", made.audit
    yield (
        "findings",
        (".md", ".pairs.csv", ".bootstrap.csv"),
        f"findings {scores} study/cells.parquet findings",
        made.findings,
    )
    if _is_published(made):
        command = f"agreement {published} study/cells.parquet agreement"
        yield "agreement", (*page, *SUFFIXES), command, made.agreement
