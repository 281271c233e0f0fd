"""Every page and table of an unpacked artifact, rendered again from its scores.

Knows which command makes which file; templates are those of this project, never the artifact's, for
a template is a program.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from needlework.artifact.bundle import INPUTS, STUDY
from needlework.audit import audit
from needlework.claims import judge
from needlework.evidence import Evidence, Published, read_evidence, read_models
from needlework.paper import MODELS_TABLE, NUMBERS
from needlework.parsing import parse, read
from needlework.published import read_tables
from needlework.report.audit import write_audit
from needlework.report.claims import write_claims
from needlework.report.findings import write_findings
from needlework.report.summary import write_report
from needlework.report.tables import write_models, write_table
from needlework.study import ShownModel, Study

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
        return self._plan("models", tuple[ShownModel, ...])

    def study(self) -> Study:
        return self._plan("study", Study)

    def _plan(self, part: str, kind: type[Content]) -> Content:
        return parse(kind, read(self._path(part)), where=f"plan/{part}.json")

    def _path(self, part: str) -> Path:
        return self.artifact / STUDY / "plan" / f"{part}.json"

    def table(self, number: int, stem: str) -> None:
        output = self.again / stem
        if number == MODELS_TABLE:
            write_models(output, models=self.models(), templates=self.templates)
        else:
            models = self.models()
            write_table(number, self.cells, output, models=models, templates=self.templates)

    def claims(self) -> None:
        evidence = read_evidence(self.cells, samples=SAMPLES)
        self._judge(evidence, self._path("models"), "claims")

    def published_claims(self) -> None:
        evidence = read_evidence(self.published, samples=SAMPLES)
        self._judge(evidence, self.artifact / INPUTS / "config/models.yaml", "published_claims")

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
    for number in NUMBERS:
        stem = f"tables/table_{number:02}"
        yield Output(
            tuple(f"{stem}.{kind}" for kind in ("md", "tex", "csv")),
            f"needlework models {stem}"
            if number == MODELS_TABLE
            else f"needlework table {number} study/cells.parquet {stem}",
            partial(made.table, number, stem),
        )
    published, scores = "inputs/resources/published", "study/scores.parquet"
    pages = (
        ("claims", (".md", ".csv"), "claims study/cells.parquet claims", made.claims),
        (
            "published_claims",
            (".md", ".csv"),
            f"claims {published} published_claims",
            made.published_claims,
        ),
        ("audit", (".md", ".csv"), f"audit {published} --output audit", made.audit),
        (
            "findings",
            (".md", ".pairs.csv", ".bootstrap.csv"),
            f"findings {scores} study/cells.parquet findings",
            made.findings,
        ),
        ("report", (".md",), f"report study {scores}", made.report),
    )
    for name, suffixes, command, make in pages:
        yield Output(tuple(f"{name}{end}" for end in suffixes), f"needlework {command}", make)
