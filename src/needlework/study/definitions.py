"""Tables and figures as data: the closed form of what a study shows.

The paper's are in `config/tables/paper.yaml`, a study may list its own, and `presentation` derives
those of a study that lists none.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    PositiveFloat,
    PositiveInt,
    StringConstraints,
    Tag,
    model_validator,
)

from needlework.parsing import Closed, Line, as_name, by_form, unknown

Name = Annotated[
    str, BeforeValidator(as_name), StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]*$")
]
LONGEST = 80
"""Characters of the name of a table or figure, of which names of files are made."""
ShownName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=LONGEST)]
"""The name of a table or figure: of its files, and of the target that makes a table."""
Depth = Annotated[int, Field(ge=0, le=100)]
FigureKind = Literal[
    "cost",
    "depth_heatmap",
    "distance_curve",
    "failure_bars",
    "format_points",
    "length_curve",
    "margin_curve",
    "margin_distance",
    "position_curve",
    "retention_curve",
]
DIAGNOSED: tuple[FigureKind, ...] = (
    "distance_curve",
    "failure_bars",
    "margin_curve",
    "margin_distance",
)
"""Figures of what answers are, where their needles lie, and how likely they were."""
TableValue = Literal[
    "score", "models", "failures", "distance", "controls", "likelihood", "control_margins"
]
MADE_BY: Mapping[TableValue, str] = {
    "score": "table",
    "models": "models",
    "failures": "explain",
    "distance": "explain",
    "controls": "controls",
    "likelihood": "explain",
    "control_margins": "controls",
}
"""The command that makes the tables of each value."""
TemplateOptions = dict[
    Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")],
    bool | int | Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+$")],
]
"""What a chat template is told; parts of the names of folders."""


def label(name: str) -> str:
    """What text calls a table of this name: the number of a numbered one, else the name."""
    stem = name.removeprefix("table_")
    return stem.lstrip("0") if stem.isdecimal() else name


class Multiples(Closed):
    """Lengths as multiples of each model's training length."""

    trained: tuple[PositiveFloat, ...] = Field(
        min_length=1, description="Multiples of a model's training length; 0.5 is half of it."
    )


class Selection(Closed):
    """Which tasks, and which lengths, of a suite are shown; all where nothing is said."""

    suite: Name | None = Field(None, description="The suite of the study whose scores are shown.")
    tasks: tuple[Name, ...] = Field(
        (), description="Only these tasks; names of tasks or of lists in config/tasks.yaml."
    )
    formats: tuple[Name, ...] = Field((), description="Only needles of these formats.")
    depths: tuple[Depth, ...] = Field((), description="Only needles at these depths, in percent.")
    lengths: Annotated[
        Annotated[tuple[PositiveInt, ...], Tag("=list")] | Annotated[Multiples, Tag("=keys")],
        Discriminator(by_form),
    ] = Field((), description="Only these lengths in tokens, or multiples of the training length.")


class TableDefinition(Selection):
    """One table: what stands in its rows and columns, and of which cells."""

    name: ShownName = Field(description="Files are tables/NAME.md, .tex, .csv; the target is NAME.")
    title: Line = Field("", description="What stands above it; derived when left out.")
    value: TableValue = Field(
        "score",
        description="Mean scores; what there is to say of each model and its weights (`models`); "
        "what wrong answers are (`failures`); scores by the distance of the needle from the "
        "question (`distance`); scores beside those of the study's controls (`controls`); how "
        "likely references are, in a study with `likelihood`, and beside controls "
        "(`control_margins`).",
    )
    rows: tuple[Literal["model", "length"], ...] = Field(
        ("model",), description="[model], or [model, length] where columns hold no length."
    )
    columns: tuple[Literal["length", "task", "format", "depth"], ...] = Field(
        ("length",), description="[length], [task], [format], [depth] or [format, depth]."
    )
    average: bool = Field(True, description="Whether a last column holds the mean of each row.")
    quoted: bool = Field(False, description="Whether the report shows it, beside linking to it.")

    @model_validator(mode="after")
    def _readable(self) -> "TableDefinition":
        if self.value != "score":
            if self.suite or self.tasks or self.formats or self.depths or self.lengths:
                raise ValueError(
                    f"value `{self.value}` shows all suites, tasks and lengths; remove suite and "
                    "filters"
                )
            return self
        if self.suite is None:
            raise ValueError("`suite` is missing: whose scores does it show?")
        if self.rows not in (("model",), ("model", "length")):
            raise ValueError(f"rows {list(self.rows)}: write [model] or [model, length]")
        if len(self.columns) != 1 and self.columns != ("format", "depth"):
            raise ValueError(f"columns {list(self.columns)}: write one, or [format, depth]")
        if ("length" in self.rows) == ("length" in self.columns):
            raise ValueError("`length` must be either in rows or in columns")
        if "length" in self.columns and isinstance(self.lengths, Multiples):
            raise ValueError(
                "lengths relative to the training length differ from model to model; set "
                "rows: [model, length]"
            )
        return self

    @property
    def label(self) -> str:
        """What text calls it: the number of a numbered table, else its name."""
        return label(self.name)

    @property
    def targets(self) -> tuple[str, ...]:
        """What can be asked for to make it: its name and, of `table_01`, `table_1`."""
        short = f"table_{self.label}" if self.label != self.name else self.name
        return tuple(dict.fromkeys((self.name, short)))


class FigureDefinition(Selection):
    """One figure: a kind of picture, of a suite."""

    name: ShownName = Field(description="Files are figures/NAME.svg, .png, .pdf, .html, .csv.")
    kind: FigureKind
    suite: Name


class Preset(Closed):
    """A file of `config/tables/`."""

    tables: tuple[TableDefinition, ...] = ()
    figures: tuple[FigureDefinition, ...] = ()
    claims: dict[str, tuple[ShownName, ...]] = Field(
        {}, description="The tables that show the numbers of each claim."
    )

    @model_validator(mode="after")
    def _shown_by_its_tables(self) -> "Preset":
        known = {table.name for table in self.tables}
        for claim, tables in self.claims.items():
            for name in tables:
                if name not in known:
                    raise ValueError(f"claims.{claim}: {unknown(name, known)}")
        return self
