"""Commands that write the tables of a study."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from needlework.commands.options import EXISTING, EXISTING_FOLDER, FILE, GRID, MODELS, SAMPLES

if TYPE_CHECKING:
    from needlework.study.definitions import TableDefinition

VERIFIED = click.option(
    "--verified",
    type=EXISTING,
    multiple=True,
    help="Verification of a model; once for each. Without any, no table mentions it.",
)


DEFINITION = click.argument("definition", type=EXISTING)
SCORES = click.argument("scores", type=EXISTING, nargs=-1)


@click.command()
@DEFINITION
@click.argument("published", type=EXISTING_FOLDER)
@click.argument("cells", type=EXISTING)
@click.argument("output", type=FILE)
@GRID
@MODELS
@SAMPLES
@click.option("--templates", type=EXISTING_FOLDER, required=True)
def comparison(
    definition: Path,
    published: Path,
    cells: Path,
    output: Path,
    grid: Path,
    models: Path,
    samples: int,
    templates: Path,
) -> None:
    """Set a table of the paper beside the one PUBLISHED of the same models, as OUTPUT.md and .csv.

    DEFINITION says which (plan/tables/NAME.json). Published numbers rest on so many --samples each,
    which gives them their intervals.
    """
    from needlework.paper.comparison_page import write_comparison
    from needlework.parsing import parse, read
    from needlework.study.definitions import TableDefinition
    from needlework.study.grid import Grid
    from needlework.study.shown import ShownModel

    write_comparison(
        parse(TableDefinition, read(definition), where=str(definition)),
        published,
        cells,
        output,
        grid=parse(Grid, read(grid), where=str(grid)),
        models=parse(tuple[ShownModel, ...], read(models), where=str(models)),
        samples=samples,
        templates=templates,
    )


@click.command()
@DEFINITION
@click.argument("output", type=FILE)
@click.argument("diagnosis", type=EXISTING)
@GRID
@MODELS
@click.option("--templates", type=EXISTING_FOLDER, required=True)
def explain(
    definition: Path, output: Path, diagnosis: Path, grid: Path, models: Path, templates: Path
) -> None:
    """Write a table of what answers are, or of scores by distance, as OUTPUT.md, .tex and .csv.

    DEFINITION says which (plan/tables/NAME.json), DIAGNOSIS is what `needlework diagnose` wrote.
    """
    from needlework.parsing import parse, read
    from needlework.report.diagnoses import write_diagnoses
    from needlework.study.grid import Grid
    from needlework.study.shown import ShownModel

    write_diagnoses(
        defined(definition, command="explain"),
        output,
        diagnosis,
        grid=parse(Grid, read(grid), where=str(grid)),
        models=parse(tuple[ShownModel, ...], read(models), where=str(models)),
        templates=templates,
    )


@click.command()
@DEFINITION
@click.argument("output", type=FILE)
@MODELS
@VERIFIED
@click.option("--templates", type=EXISTING_FOLDER, required=True)
def models(
    definition: Path, output: Path, models: Path, verified: tuple[Path, ...], templates: Path
) -> None:
    """Write a table of the models and their weights as OUTPUT.md, OUTPUT.tex and OUTPUT.csv.

    DEFINITION says what it is called (plan/tables/NAME.json).
    """
    from needlework.parsing import parse, read
    from needlework.report.notes import read_verified
    from needlework.report.tables import write_models
    from needlework.study.shown import ShownModel

    write_models(
        defined(definition, command="models"),
        output,
        models=parse(tuple[ShownModel, ...], read(models), where=str(models)),
        templates=templates,
        verified=read_verified(verified) if verified else None,
    )


@click.command()
@DEFINITION
@click.argument("output", type=FILE)
@SCORES
@GRID
@MODELS
@VERIFIED
@click.option("--intervals", is_flag=True, help="Show the 95 % interval of every number.")
@click.option("--templates", type=EXISTING_FOLDER, required=True)
def table(
    definition: Path,
    output: Path,
    scores: tuple[Path, ...],
    grid: Path,
    models: Path,
    verified: tuple[Path, ...],
    intervals: bool,
    templates: Path,
) -> None:
    """Write one table of a study as OUTPUT.md, OUTPUT.tex and OUTPUT.csv.

    DEFINITION says what it shows (plan/tables/NAME.json), SCORES are the score files of the cells
    that it needs. Cells without scores are named, and no mean is taken without them.
    """
    from needlework.parsing import parse, read
    from needlework.report.notes import read_verified
    from needlework.report.tables import read_measured, write_table
    from needlework.study.grid import Grid
    from needlework.study.shown import ShownModel

    measured = read_measured(
        scores,
        grid=parse(Grid, read(grid), where=str(grid)),
        models=parse(tuple[ShownModel, ...], read(models), where=str(models)),
        verified=read_verified(verified) if verified else None,
    )
    write_table(
        defined(definition, command="table"),
        output,
        measured,
        templates=templates,
        intervals=intervals,
    )


def defined(path: Path, *, command: str) -> "TableDefinition":
    """The definition of a table that this command makes.

    Raises:
        StudyError: the file has none, or one of another command's.
    """
    from needlework.errors import StudyError
    from needlework.parsing import parse, read
    from needlework.study.definitions import MADE_BY, TableDefinition

    found = parse(TableDefinition, read(path), where=str(path))
    if (maker := MADE_BY[found.value]) != command:
        raise StudyError(
            f"{path}: `needlework {maker}` makes tables of value `{found.value}`, not "
            f"`needlework {command}`"
        )
    return found
