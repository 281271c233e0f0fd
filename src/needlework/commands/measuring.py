"""Commands for whoever has a model, or the package alone."""

from pathlib import Path

import click

from needlework.commands.options import FOLDER


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
    from needlework.engine import installation
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
