"""Every page and table of an unpacked artifact, rendered again from its scores.

Templates are those of this project, never the artifact's: a template is a program. What the pages
of a preset show, its own room renders, which is above this one: the command hands it in.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from needlework.analysis.controls import Controlled
from needlework.artifact import reading
from needlework.artifact.bundle import INPUTS, MANIFEST, STUDY, Manifest
from needlework.artifact.comparing import EXPLORER
from needlework.cost.study import PlannedCell
from needlework.errors import ArtifactError
from needlework.hazards.page import write_hazards
from needlework.parsing import parse, read
from needlework.report.charts import SUFFIXES
from needlework.report.controls import read_controlled, write_controlled, write_controls
from needlework.report.diagnoses import write_diagnoses
from needlework.report.explorer.page import write_explorer
from needlework.report.figures import write_figure
from needlework.report.findings import write_findings
from needlework.report.notes import Verified, read_verified
from needlework.report.results import write_results
from needlework.report.summary import write_report
from needlework.report.tables import Measured, read_measured, write_models, write_table
from needlework.study.config import Study
from needlework.study.definitions import MADE_BY, FigureDefinition, TableDefinition, TableValue
from needlework.study.grid import Grid
from needlework.study.presentation import Page, Shown
from needlework.study.shown import ShownModel
from needlework.study.variants import StudiedModel

Content = TypeVar("Content")

NEEDED: Mapping[TableValue, str] = {
    "score": " study/scores.parquet",
    "models": "",
    "failures": " study/diagnosis.parquet",
    "distance": " study/diagnosis.parquet",
    "controls": " study/controls.json",
    "likelihood": " study/diagnosis.parquet",
    "control_margins": " study/controls.json",
}
"""What a table of each value is made from."""


CONTROLLED = "controls.json"
"""What the controls of a study score, from which its table and all else about them is made."""


class Output(NamedTuple):
    """Files that one command makes, and how."""

    names: tuple[str, ...]
    command: str
    make: Callable[[], object]


class PageOutput(NamedTuple):
    """Of one page the suffixes of its files, its command, and what carries it out."""

    suffixes: tuple[str, ...]
    command: str
    make: Callable[[], object]


class PresetOutputs(NamedTuple):
    """What a preset shows beside the tables and figures that any study may have."""

    tables: "Callable[[Again], Iterator[Output]]"
    pages: "Callable[[Again], dict[Page, PageOutput]]"


@dataclass(frozen=True)
class Again:
    """Where the scores of an artifact lie that were computed anew, and what its pages need."""

    artifact: Path
    again: Path
    templates: Path

    @property
    def cells(self) -> Path:
        """The estimates of all cells."""
        return self.again / "estimates.parquet"

    @property
    def scores(self) -> Path:
        """The score of every sample."""
        return self.again / "scores.parquet"

    @property
    def diagnosis(self) -> Path:
        """What every answer is."""
        return self.again / "diagnosis.parquet"

    @property
    def published(self) -> Path:
        """The folder of the published tables, as they are in the artifact."""
        return self.artifact / INPUTS / "resources/published"

    def models(self) -> tuple[ShownModel, ...]:
        """The models of the study, as its tables show them."""
        found = reading.models(self.artifact)
        if {model.name for model in found} != set(self.grid().models):
            raise ArtifactError("plan/models.json: not the models of plan/grid.json")
        return found

    def study(self) -> Study:
        """What was asked for."""
        return self._plan("study", Study)

    def _plan(self, part: str, kind: type[Content]) -> Content:
        return parse(kind, read(self.path(part)), where=f"plan/{part}.json")

    def path(self, part: str) -> Path:
        """The file of a part of the plan."""
        return self.artifact / STUDY / "plan" / f"{part}.json"

    @cached_property
    def measured(self) -> Measured:
        """The numbers of every table."""
        return read_measured(
            [self.scores],
            grid=self.grid(),
            models=self.models(),
            verified=self.verified(),
        )

    def grid(self) -> Grid:
        """The cells of the study."""
        return reading.grid(self.artifact)

    def shown(self) -> Shown:
        """Its tables, figures and pages."""
        return self._plan("shown", Shown)

    def table(self, definition: TableDefinition, stem: str, *, intervals: bool = False) -> None:
        """Make a table."""
        output, templates = self.again / stem, self.templates
        if MADE_BY[definition.value] == "explain":
            write_diagnoses(
                definition,
                output,
                self.diagnosis,
                grid=self.grid(),
                models=self.models(),
                templates=templates,
            )
        elif MADE_BY[definition.value] == "controls":
            write_controls(
                definition,
                output,
                self.controls(),
                grid=self.grid(),
                models=self.models(),
                templates=templates,
            )
        elif definition.value == "models":
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
        """Make a figure."""
        write_figure(
            figure,
            [self.scores],
            self.again / stem,
            study=self.study().study,
            grid=self.grid(),
            models=self.models(),
            planned=self._plan("costs", tuple[PlannedCell, ...]) if figure.kind == "cost" else (),
            benchmarks=self.artifact / STUDY / "benchmarks",
            diagnosis=self.diagnosis,
            controls=self.controls(),
        )

    def compared(self) -> None:
        """Make the file of what the study's controls score."""
        cells = reading.controls(self.artifact)
        own = [self.again / "scores" / f"{each.cell.place}.parquet" for each in cells]
        write_controlled(
            [self.scores, *own],
            self.again / CONTROLLED,
            study=self.study(),
            grid=self.grid(),
            models=self.models(),
            cells=cells,
        )

    def controls(self) -> tuple[Controlled, ...]:
        """What they score; nothing where the study asks for none."""
        return read_controlled(self.again / CONTROLLED) if self.study().controls else ()

    def hazards(self) -> None:
        """Make the page of a hazard study."""
        write_hazards(
            self.study(),
            self._plan("hazards", tuple[StudiedModel, ...]),
            self.again,
            scores=self.scores,
            templates=self.templates,
        )

    def explorer(self) -> None:
        """Make the explorer, which names the study by its folder: it has another name here."""
        folder = self.again / "explored" / self.study().study
        folder.parent.mkdir()
        folder.symlink_to(self.artifact / STUDY, target_is_directory=True)
        write_explorer(
            folder,
            self.again / EXPLORER,
            grid=self.grid(),
            models=self.models(),
            shown=self.shown(),
        )

    def verified(self) -> Verified | None:
        """What the models were compared with; None where nothing says it."""
        paths = sorted((self.artifact / STUDY / "verified").glob("*.json"))
        return read_verified(paths) if paths else None

    def findings(self) -> None:
        """Make the page of findings."""
        write_findings(
            self.study(),
            self.again / "findings",
            scores=self.scores,
            cells=self.cells,
            grid=self.grid(),
            models=self.models(),
            templates=self.templates,
            controls=self.controls(),
        )

    def report(self) -> None:
        """Make the short report."""
        template = self.templates / "report.md.j2"
        write_report(
            self.study(),
            self.shown(),
            self.again,
            scores=self.scores,
            diagnosis=self.diagnosis,
            grid=self.grid(),
            models=self.models(),
            template=template,
            controls=self.controls(),
        )

    def results(self) -> None:
        """Make the file of all numbers for programs."""
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


def outputs(
    artifact: Path, again: Path, templates: Path, preset: PresetOutputs
) -> Iterator[Output]:
    """What a study shows: each output is made below `again`, from the scores that lie there."""
    made = Again(artifact, again, templates)
    shown = made.shown()
    if "hazards" in shown.pages:
        yield Output((EXPLORER,), f"needlework explorer study {EXPLORER}", made.explorer)
        names = ("hazards.md", "hazards.csv", *_figure("hazard_forest", SUFFIXES))
        yield Output(names, "needlework hazards study/scores.parquet .", made.hazards)
        return
    if "controls" in shown.pages:
        scores = "study/scores.parquet study/scores/MODEL+CONTROL/SUITE/LENGTH.parquet ..."
        command = f"needlework compare-controls {scores} --output {CONTROLLED}"
        yield Output((CONTROLLED,), command, made.compared)
    yield from _tables(made, shown)
    yield from preset.tables(made)
    for figure in shown.figures:
        stem = f"figures/{figure.name}"
        yield Output(
            _figure(figure.name, (*SUFFIXES, ".csv")),
            f"needlework figure study/plan/{stem}.json {stem} study/scores.parquet",
            partial(made.figure, figure, stem),
        )
    pages = _pages(made) | preset.pages(made)
    for page in (each for each in shown.pages if each != "controls"):
        names = tuple(f"{page}{suffix}" for suffix in pages[page].suffixes)
        yield Output(names, f"needlework {pages[page].command}", pages[page].make)


def _tables(made: Again, shown: Shown) -> Iterator[Output]:
    """Every table, and with the interval of every number those that were made so."""
    for table in shown.tables:
        stem, definition = f"tables/{table.name}", f"study/plan/tables/{table.name}.json"
        yield Output(
            _kinds(stem),
            f"needlework {MADE_BY[table.value]} {definition} {stem}{NEEDED[table.value]}",
            partial(made.table, table, stem),
        )
        stem = f"intervals/{table.name}"
        if any((made.artifact / STUDY / name).is_file() for name in _kinds(stem)):
            command = f"needlework table {definition} {stem} study/scores.parquet --intervals"
            yield Output(_kinds(stem), command, partial(made.table, table, stem, intervals=True))


def _kinds(stem: str) -> tuple[str, ...]:
    return tuple(f"{stem}.{kind}" for kind in ("md", "tex", "csv"))


def _figure(name: str, suffixes: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"figures/{name}{suffix}" for suffix in suffixes)


def _pages(made: Again) -> dict[Page, PageOutput]:
    scores, cells = "study/scores.parquet", "study/estimates.parquet"
    return {
        "explorer": PageOutput((".html",), "explorer study explorer.html", made.explorer),
        "findings": PageOutput(
            (".md", ".pairs.csv", ".bootstrap.csv"),
            f"findings {scores} {cells} findings",
            made.findings,
        ),
        "report": PageOutput(
            (".md",), f"report study {scores} study/diagnosis.parquet", made.report
        ),
        "results": PageOutput((".json",), f"results {scores} {cells} results.json", made.results),
    }
