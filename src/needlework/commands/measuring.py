"""Commands for whoever has a model, or the package alone."""

from pathlib import Path

import click

from needlework.commands.options import FOLDER


@click.command()
@click.argument("folder", type=FOLDER)
def init(folder: Path) -> None:
    """Write a project into FOLDER, in which `snakemake` measures models of your own.

    Its Snakefile takes the workflow of this package as a module; its config/ has a study, and
    models, tasks and a cluster of your own, which add to those that come with the package.

    \b
    needlework init mine && cd mine && snakemake
    """
    from needlework import installed
    from needlework.measure import project

    for path in project.create(folder):
        click.echo(path)
    click.echo(
        f"next: cd {folder} && snakemake   (what every key means: "
        f"{installed.root() / 'config' / 'README.md'})"
    )
