"""Commands that write the tables of a study."""

from pathlib import Path

import click

from needlework.commands.options import EXISTING, EXISTING_FOLDER, FILE

VERIFIED = click.option(
    "--verified",
    type=EXISTING,
    multiple=True,
    help="What was verified of a model; once for each. Without any, no table speaks of it.",
)


@click.command()
@click.argument("number", type=int)
@click.argument("published", type=EXISTING_FOLDER)
@click.argument("cells", type=EXISTING)
@click.argument("output", type=FILE)
@click.option("--grid", type=EXISTING, required=True, help="Models, suites and lengths.")
@click.option("--models", type=EXISTING, required=True, help="What to say of every model.")
@click.option("--samples", type=click.IntRange(min=1), default=250, show_default=True)
@click.option("--templates", type=EXISTING_FOLDER, required=True)
def comparison(
    number: int,
    published: Path,
    cells: Path,
    output: Path,
    grid: Path,
    models: Path,
    samples: int,
    templates: Path,
) -> None:
    """Set table NUMBER beside the one PUBLISHED of the same models, as OUTPUT.md and OUTPUT.csv.

    Published numbers rest on so many --samples each, which gives them their intervals.
    """
    from needlework.parsing import parse, read
    from needlework.report.comparison import write_comparison
    from needlework.study import Grid, ShownModel

    write_comparison(
        number,
        published,
        cells,
        output,
        grid=parse(Grid, read(grid), where=str(grid)),
        models=parse(tuple[ShownModel, ...], read(models), where=str(models)),
        samples=samples,
        templates=templates,
    )


@click.command()
@click.argument("output", type=FILE)
@click.option("--models", type=EXISTING, required=True, help="What to say of every model.")
@VERIFIED
@click.option("--templates", type=EXISTING_FOLDER, required=True)
def models(output: Path, models: Path, verified: tuple[Path, ...], templates: Path) -> None:
    """Write Table 5, the models and their weights, as OUTPUT.md, OUTPUT.tex and OUTPUT.csv."""
    from needlework.parsing import parse, read
    from needlework.report.notes import read_verified
    from needlework.report.tables import write_models
    from needlework.study import ShownModel

    write_models(
        output,
        models=parse(tuple[ShownModel, ...], read(models), where=str(models)),
        templates=templates,
        verified=read_verified(verified) if verified else None,
    )


@click.command()
@click.argument("number")
@click.argument("cells", type=EXISTING)
@click.argument("scores", type=EXISTING)
@click.argument("output", type=FILE)
@click.option("--grid", type=EXISTING, required=True, help="Models, suites and lengths.")
@click.option("--models", type=EXISTING, required=True, help="What to say of every model.")
@VERIFIED
@click.option("--study", type=EXISTING, help="Where tables are described that have a name.")
@click.option("--intervals", is_flag=True, help="Show the 95 % interval of every number.")
@click.option("--templates", type=EXISTING_FOLDER, required=True)
def table(
    number: str,
    cells: Path,
    scores: Path,
    output: Path,
    grid: Path,
    models: Path,
    verified: tuple[Path, ...],
    study: Path | None,
    intervals: bool,
    templates: Path,
) -> None:
    """Write table NUMBER of the paper as OUTPUT.md, OUTPUT.tex and OUTPUT.csv, or one of a study.

    CELLS holds the estimates and SCORES the samples behind them, which tell what is as good as the
    best. Cells of the grid that CELLS lacks are named, and no mean is taken without them.
    """
    from needlework.parsing import parse, read
    from needlework.report.notes import read_verified
    from needlework.report.tables import read_measured, write_table
    from needlework.study import Grid, ShownModel, Study

    tables = parse(Study, read(study), where=str(study)).tables if study else {}
    measured = read_measured(
        cells,
        scores,
        grid=parse(Grid, read(grid), where=str(grid)),
        models=parse(tuple[ShownModel, ...], read(models), where=str(models)),
        verified=read_verified(verified) if verified else None,
    )
    write_table(
        int(number) if number.isdecimal() else number,
        output,
        measured,
        templates=templates,
        intervals=intervals,
        own=tables if isinstance(tables, dict) else {},
    )
