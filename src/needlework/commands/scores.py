"""Commands that turn predictions into scores and estimates."""

from pathlib import Path

import click

from needlework.commands.options import EXISTING, EXISTING_FOLDER, FILE, GRID, ONLY, suite_tasks


@click.command()
@click.argument("folder", type=EXISTING_FOLDER)
@click.argument("scores", type=FILE)
@click.argument("cells", type=FILE)
@GRID
@click.option(
    "--cell",
    "only",
    multiple=True,
    help="Gather this cell (MODEL/SUITE/LENGTH) and those named likewise, not the whole grid.",
)
def collect(folder: Path, scores: Path, cells: Path, grid: Path, only: tuple[str, ...]) -> None:
    """Gather every score file of a study.

    Reads FOLDER/MODEL/SUITE/LENGTH.parquet for every cell of the grid; writes all rows to SCORES
    and one estimate per model, task, length, depth and format to CELLS.
    """
    from needlework.parsing import parse, read
    from needlework.scores import cells as cell_files
    from needlework.study.grid import Grid

    wanted = parse(Grid, read(grid), where=str(grid))
    chosen = [wanted.cell(place) for place in only] if only else wanted.cells()
    cell_files.collect(chosen, folder, scores=scores, estimates=cells)


@click.command()
@click.argument("study", type=EXISTING_FOLDER)
@click.argument("output", type=FILE)
@click.option(
    "--cell",
    "only",
    multiple=True,
    help="Take this cell (MODEL/SUITE/LENGTH) and those named likewise, not the whole grid.",
)
def diagnose(study: Path, output: Path, only: tuple[str, ...]) -> None:
    """Say of every answer what it is, and how far before the question its needle lies.

    Reads plan, data and predictions in the folder STUDY; OUTPUT holds one row per sample.
    """
    from needlework.parsing import parse, read
    from needlework.scores import diagnoses
    from needlework.study.definitions import Name
    from needlework.study.grid import Grid
    from needlework.study.shown import ShownModel
    from needlework.tasks.specs import Spec

    path = study / "plan/models.json"
    models = parse(tuple[ShownModel, ...], read(path), where=str(path))
    path = study / "plan/grid.json"
    grid = parse(Grid, read(path), where=str(path))
    paths = {suite: study / f"plan/suites/{suite}.json" for suite in grid.suites}
    diagnoses.diagnose(
        [grid.cell(place) for place in only] if only else grid.cells(),
        study,
        output,
        prompts={model.name: model.prompts for model in models},
        tasks={
            suite: parse(dict[Name, Spec], read(path), where=str(path))
            for suite, path in paths.items()
        },
    )


@click.command()
@click.argument("predictions", type=EXISTING)
@click.argument("output", type=FILE)
@click.option("--model", required=True)
@click.option("--suite", required=True)
@click.option("--length", type=int, required=True)
@click.option("--samples", type=int, required=True, help="Samples of every task.")
@click.option("--tasks", type=EXISTING, required=True, help="The suite's tasks, by name.")
@ONLY
def score(
    predictions: Path,
    output: Path,
    model: str,
    suite: str,
    length: int,
    samples: int,
    tasks: Path,
    only: tuple[str, ...],
) -> None:
    """Score the PREDICTIONS of one cell; OUTPUT holds one row per sample."""
    from needlework.scores.cells import score_cell
    from needlework.study.grid import Cell

    specs = suite_tasks(tasks, only)
    cell = Cell(model, suite, length)
    score_cell(predictions, output, cell=cell, tasks=specs, samples=samples)
