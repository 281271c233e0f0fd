"""The command of a hazard study."""

from pathlib import Path

import click

from needlework.commands.options import EXISTING, FOLDER, PACKAGED_FOLDER


@click.command()
@click.argument("scores", type=EXISTING)
@click.argument("folder", type=FOLDER)
@click.option("--study", "config", type=EXISTING, required=True, help="The study's own keys.")
@click.option("--hazards", "models", type=EXISTING, required=True, help="Models and their defects.")
@click.option("--templates", type=PACKAGED_FOLDER, default="reports/templates", show_default=True)
def hazards(scores: Path, folder: Path, config: Path, models: Path, templates: Path) -> None:
    """Tell what each published defect costs, from the SCORES of a hazard study.

    Writes hazards.md, hazards.csv and figures/hazard_forest as SVG, PNG, PDF and HTML to FOLDER.
    """
    from needlework.hazards.page import write_hazards
    from needlework.parsing import parse, read
    from needlework.study.config import Study
    from needlework.study.variants import StudiedModel

    write_hazards(
        parse(Study, read(config), where=str(config)),
        parse(tuple[StudiedModel, ...], read(models), where=str(models)),
        folder,
        scores=scores,
        templates=templates,
    )
