"""Commands for whoever has a model, or the package alone."""

from pathlib import Path

import click

from needlework.commands.options import (
    EXISTING,
    EXISTING_FOLDER,
    FILE,
    FOLDER,
    GRID,
    MODELS,
    PACKAGED_FOLDER,
)


class Listed(click.ParamType[tuple[str, ...]]):
    """Values between commas."""

    name = "LIST"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The values, at least one of them."""
        values = tuple(each.strip() for each in value.split(","))
        if not all(values):
            self.fail(f"{value!r} has an empty value; write A,B,C", param, ctx)
        return values


class Lengths(click.ParamType[tuple[int, ...]]):
    """Context lengths between commas."""

    name = "LENGTHS"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """The lengths in tokens, ascending."""
        try:
            found = tuple(map(int, value.split(",")))
        except ValueError:
            self.fail(f"{value!r} is no list of lengths; write 1024,2048,4096", param, ctx)
        if min(found) < 1 or list(found) != sorted(set(found)):
            self.fail(f"{value!r} must ascend from 1 without repeats", param, ctx)
        return found


@click.command()
@click.argument("model")
@click.option("--lengths", type=Lengths(), help="Context lengths in tokens, as 1024,2048,4096.")
@click.option("--samples", type=click.IntRange(1, 100_000), default=50, show_default=True)
@click.option("--tasks", type=Listed(), help="Tasks or lists of them; RULER's 13 by default.")
@click.option("--depth", is_flag=True, help="Also ask where in a text a needle is found.")
@click.pass_context
def measure(
    ctx: click.Context,
    model: str,
    lengths: tuple[int, ...] | None,
    samples: int,
    tasks: tuple[str, ...] | None,
    depth: bool,
) -> None:
    """Say how far MODEL reads: a name of models.yaml, a hub id, a folder or a file of weights.

    What has to be known of it is found in it, and said. A study is written to results/, Snakemake
    runs it, and the answer follows; results stay for the next time. A run that is stopped goes on
    with the same command.

    \b
    needlework measure nano-llama
    needlework measure HuggingFaceTB/SmolLM2-135M-Instruct --lengths 1024,2048,4096,8192
    """
    from needlework.cluster import installation
    from needlework.measure import running
    from needlework.measure.question import Question

    asked = Question(model, lengths or (), samples, tasks or (), depth)
    dtype = "bfloat16" if installation.device().type == "cuda" else "float32"
    ctx.exit(running.measure(asked, dtype=dtype))


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


@click.command()
@click.argument("scores", type=EXISTING)
@click.argument("cells", type=EXISTING)
@click.argument("output", type=FILE)
@click.option("--predictions", type=EXISTING_FOLDER, required=True, help="Those of the study.")
@click.option("--study", "config", type=EXISTING, required=True, help="The study's own keys.")
@GRID
@MODELS
def results(
    scores: Path,
    cells: Path,
    output: Path,
    predictions: Path,
    config: Path,
    grid: Path,
    models: Path,
) -> None:
    """Write every estimate of a study, with interval, counts and versions, for programs (JSON)."""
    from importlib import metadata

    from needlework.parsing import parse, read
    from needlework.report.results import write_results
    from needlework.study.config import Study
    from needlework.study.grid import Grid
    from needlework.study.shown import ShownModel

    write_results(
        parse(Study, read(config), where=str(config)),
        output,
        scores=scores,
        cells=cells,
        predictions=predictions,
        grid=parse(Grid, read(grid), where=str(grid)),
        models=parse(tuple[ShownModel, ...], read(models), where=str(models)),
        version=metadata.version("needlework"),
    )


@click.command()
@click.argument("source", metavar="RESULTS.json", type=EXISTING)
@click.option("--model", help="The model that is meant, where the study has several.")
@click.option("--output", type=FILE, help="A file in place of what is printed.")
@click.option("--templates", type=PACKAGED_FOLDER, default="reports/templates", show_default=True)
def card(source: Path, model: str | None, output: Path | None, templates: Path) -> None:
    """Write a section for a model's card on a hub, with the model-index block that hubs read.

    \b
    needlework card results/measure-nano-llama/results.json --output CARD.md
    """
    from needlework.files import write_text
    from needlework.report.card import card as written
    from needlework.report.results import read_results

    text = written(read_results(source), model, templates=templates)
    if output is None:
        click.echo(text, nl=False)
    else:
        write_text(output, text)
