"""Commands that make what models read: external files and datasets."""

from pathlib import Path
from typing import Literal

import click

from needlework.commands.options import EXISTING_FOLDER, FILE, FOLDER


@click.command()
@click.argument("output", type=FILE)
@click.option("--tokenizer", required=True, help="A folder or a file.")
@click.option("--resources", type=FOLDER, default="resources/external", show_default=True)
@click.option("--golden", type=EXISTING_FOLDER, help="The artifact's outputs and questions.")
@click.option("--samples", type=click.IntRange(min=1), default=250, show_default=True)
def bench_data(
    output: Path, tokenizer: str, resources: Path, golden: Path | None, samples: int
) -> None:
    """Time every released dataset of the paper beside the artifact; write OUTPUT (Markdown)."""
    from needlework.released import bench

    measured = list(bench.measure(tokenizer, resources, golden=golden, samples=samples))
    long = list(bench.measure_long(tokenizer, resources))
    bench.write(measured, long, output, golden=golden)


@click.command()
@click.option("--task", required=True, help="A name from --tasks, e.g. niah_single_2.")
@click.option(
    "--length", type=click.IntRange(min=1), required=True, help="Tokens, answer included."
)
@click.option("--tokenizer", required=True, help="A folder, a file or a hub id.")
@click.option("--revision", help="The commit of a hub id.")
@click.option(
    "--wrapper",
    default="base",
    show_default=True,
    help="The model's prompt format, or chat: its tokenizer's.",
)
@click.option(
    "--protocol",
    type=click.Choice(["released", "corrected"]),
    default="corrected",
    show_default=True,
    help="Prompts as the artifact made them, or mended.",
)
@click.option(
    "--material", type=click.Choice(["english", "nano"]), default="english", show_default=True
)
@click.option("--samples", type=click.IntRange(min=1), required=True)
@click.option("--seed", type=click.IntRange(min=0), required=True)
@click.option("--output", type=FILE, required=True, help="TASK.jsonl; its details lie beside it.")
@click.option("--tasks", type=FILE, default="config/tasks.yaml", show_default=True)
@click.option("--parameters", help="The task's parameters as JSON, in place of --tasks.")
@click.option("--resources", type=FOLDER, default="resources/external", show_default=True)
@click.option("--questions", type=FILE, help="The SQuAD v2 or HotpotQA file of a qa task.")
def dataset(
    task: str,
    length: int,
    tokenizer: str,
    revision: str | None,
    wrapper: str,
    protocol: Literal["released", "corrected"],
    material: Literal["english", "nano"],
    samples: int,
    seed: int,
    output: Path,
    tasks: Path,
    parameters: str | None,
    resources: Path,
    questions: Path | None,
) -> None:
    """Make the samples of one task at one length, for one tokenizer and prompt format."""
    from needlework import catalogue, terminal, tokenizers
    from needlework.prompts import CHAT
    from needlework.tasks import datasets

    spec = catalogue.find_spec(
        task, protocol=protocol, parameters=parameters, tasks_file=tasks, material=material
    )
    wanted = datasets.Dataset(
        task=task,
        spec=spec,
        length=length,
        samples=samples,
        seed=seed,
        protocol=protocol,
        material=material,
        wrapper=datasets.find_wrapper(wrapper, protocol, tokenizer=tokenizer, revision=revision),
        resources=resources,
        questions=questions,
    )
    loaded = tokenizers.load(tokenizer, revision=revision, begins=wrapper != CHAT)
    watch = terminal.bar(f"{task} at {length}", total=samples)
    datasets.write(wanted, output, tokenizer=loaded, watch=watch)


@click.command()
@click.argument("names", nargs=-1)
@click.option("--directory", type=FOLDER, default="resources/external", show_default=True)
@click.option("--offline", is_flag=True, help="Use what is there and the mirror, no network.")
@click.option(
    "--accept", multiple=True, metavar="NAME", help="Accept the terms of a resource (Gemma)."
)
def fetch(names: tuple[str, ...], directory: Path, offline: bool, accept: tuple[str, ...]) -> None:
    """Get external files, verified: all without terms of their own, or those of NAMES.

    Names of files and models stand in resources/registry.yaml; `snakemake fetch` gets all that a
    study needs. Files come from the folder that NEEDLEWORK_MIRROR names where it has them,
    otherwise from the network; what broke off is resumed. What cannot be had is named at the end,
    after all the rest.
    """
    from needlework import fetching, resources
    from needlework.errors import ResourceError

    registry = resources.registry()
    fetcher = fetching.Fetcher(
        registry=registry,
        directory=directory,
        mirror=fetching.mirror_from_environment(),
        offline=offline,
        accepted=frozenset(accept),
    )
    missing = {}
    for name in names or registry.free():
        try:
            for path in fetcher.fetch(name):
                click.echo(f"{name}: {path}")
        except ResourceError as error:
            missing[name] = str(error)
    if len(missing) > 1:
        for name, reason in missing.items():
            click.echo(f"{name}: {reason}", err=True)
        raise ResourceError(
            f"{', '.join(missing)} could not be fetched, see above; the rest is there"
        )
    for reason in missing.values():
        raise ResourceError(reason)


@click.command()
@click.argument("hub_ids", nargs=-1, required=True)
def pin(hub_ids: tuple[str, ...]) -> None:
    """Print the last commit of every one of HUB_IDS, to be written as `revision`."""
    from needlework import repositories

    for hub_id in hub_ids:
        click.echo(f"{hub_id} {repositories.latest(hub_id)}")
