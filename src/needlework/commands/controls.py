"""Commands that set scores beside those of their controls."""

from pathlib import Path

import click

from needlework.commands.options import EXISTING, EXISTING_FOLDER, FILE, GRID, MODELS
from needlework.commands.tables import DEFINITION, defined


@click.command("compare-controls")
@click.argument("scores", type=EXISTING, nargs=-1, required=True)
@click.option("--output", type=FILE, required=True, help="What is found, as JSON.")
@click.option("--study", "config", type=EXISTING, required=True, help="The study's own keys.")
@click.option("--cells", type=EXISTING, required=True, help="The cells of the study's controls.")
@GRID
@MODELS
def compare_controls(
    scores: tuple[Path, ...], output: Path, config: Path, cells: Path, grid: Path, models: Path
) -> None:
    """Set what every model scores beside its controls, and say whether it reads beyond a truncated
    copy of itself.

    SCORES are score files: that of the study, and those of its control cells. Cells without scores
    are told as not computed.
    """
    from needlework.parsing import parse, read
    from needlework.report.controls import write_controlled
    from needlework.study.config import Study
    from needlework.study.controls import ControlCell
    from needlework.study.grid import Grid
    from needlework.study.shown import ShownModel

    write_controlled(
        scores,
        output,
        study=parse(Study, read(config), where=str(config)),
        grid=parse(Grid, read(grid), where=str(grid)),
        models=parse(tuple[ShownModel, ...], read(models), where=str(models)),
        cells=parse(tuple[ControlCell, ...], read(cells), where=str(cells)),
    )


@click.command()
@DEFINITION
@click.argument("output", type=FILE)
@click.argument("compared", type=EXISTING)
@GRID
@MODELS
@click.option("--templates", type=EXISTING_FOLDER, required=True)
def controls(
    definition: Path, output: Path, compared: Path, grid: Path, models: Path, templates: Path
) -> None:
    """Write the table of scores, or margins, beside those of controls: OUTPUT.md, .tex and .csv.

    DEFINITION says what it is called (plan/tables/NAME.json), COMPARED is what `needlework
    compare-controls` wrote.
    """
    from needlework.parsing import parse, read
    from needlework.report.controls import read_controlled, write_controls
    from needlework.study.grid import Grid
    from needlework.study.shown import ShownModel

    write_controls(
        defined(definition, command="controls"),
        output,
        read_controlled(compared),
        grid=parse(Grid, read(grid), where=str(grid)),
        models=parse(tuple[ShownModel, ...], read(models), where=str(models)),
        templates=templates,
    )
