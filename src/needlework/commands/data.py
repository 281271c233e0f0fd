"""Commands that make what models read: external files and datasets."""

from pathlib import Path
from typing import Literal, TypedDict, Unpack

import click

from needlework.commands.options import FILE, FOLDER, PACKAGED


class ReaderOptions(TypedDict):
    """The options of `dataset` that say who reads the samples, in which format."""

    tokenizer: str
    revision: str | None
    wrapper: str
    template_options: str | None
    thinks: bool


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
@click.option("--template-options", help="What the chat template is told, as JSON.")
@click.option(
    "--thinks", is_flag=True, help="The model thinks first: answers are begun in the request."
)
@click.option(
    "--wording",
    type=click.Choice(["ruler", "plain"]),
    help="RULER's own prompts, or ours.  [default: ruler in English, plain in nano]",
)
@click.option("--samples", type=click.IntRange(min=1), required=True)
@click.option("--seed", type=click.IntRange(min=0), required=True)
@click.option("--output", type=FILE, required=True, help="TASK.jsonl; its details lie beside it.")
@click.option("--tasks", type=PACKAGED, default="config/tasks.yaml", show_default=True)
@click.option("--parameters", help="The task's parameters as JSON, in place of --tasks.")
@click.option("--resources", type=FOLDER, default="resources/external", show_default=True)
@click.option("--questions", type=FILE, help="The SQuAD v2 or HotpotQA file of a qa task.")
@click.option(
    "--control",
    type=click.Choice(["truncated", "no-haystack", "no-needle"]),
    help="Change every sample: its end alone, needles and question alone, or all but the needle.",
)
@click.option(
    "--trained-length",
    type=click.IntRange(min=1),
    help="Tokens of prompt and answer that --control truncated leaves.",
)
@click.option(
    "--distractors", is_flag=True, help="Details name wrong values, for `predict --likelihood`."
)
def dataset(
    task: str,
    length: int,
    protocol: Literal["released", "corrected"],
    material: Literal["english", "nano"],
    wording: Literal["ruler", "plain"] | None,
    samples: int,
    seed: int,
    output: Path,
    tasks: Path,
    parameters: str | None,
    resources: Path,
    questions: Path | None,
    control: Literal["truncated", "no-haystack", "no-needle"] | None,
    trained_length: int | None,
    distractors: bool,
    **reader: Unpack[ReaderOptions],
) -> None:
    """Make the samples of one task at one length, for one tokenizer and prompt format."""
    from needlework import terminal, tokenizers
    from needlework.study import catalogue, datasets
    from needlework.tasks.prompts import CHAT

    spec = catalogue.find_spec(
        task, protocol=protocol, parameters=parameters, tasks_file=tasks, material=material
    )
    wanted = datasets.asked(
        task=task,
        spec=spec,
        length=length,
        samples=samples,
        seed=seed,
        protocol=protocol,
        material=material,
        wording=wording,
        resources=resources,
        questions=questions,
        control=control,
        trained_length=trained_length,
        distractors=distractors,
        **reader,
    )
    loaded = tokenizers.load(
        reader["tokenizer"], revision=reader["revision"], begins=reader["wrapper"] != CHAT
    )
    datasets.write(wanted, output, loaded, watch=terminal.bar(f"{task} at {length}", total=samples))


@click.command()
@click.argument("names", nargs=-1)
@click.option("--configfile", type=PACKAGED, help="A study: lock and get all that it needs.")
@click.option("--directory", type=FOLDER, default="resources/external", show_default=True)
@click.option("--offline", is_flag=True, help="Use what is there and the mirror, no network.")
@click.option(
    "--accept", multiple=True, metavar="NAME", help="Accept the terms of a resource (Gemma)."
)
def fetch(
    names: tuple[str, ...],
    configfile: Path | None,
    directory: Path,
    offline: bool,
    accept: tuple[str, ...],
) -> None:
    """Get external files, verified: all that a study needs, or those of NAMES.

    With --configfile, the first step where there is a network: commits and digests of what is on
    the hub are written to config/models.lock.yaml where they do not stand there yet, then all is
    downloaded; from then on it is that or nothing. NAMES are those of resources/registry.yaml. The
    folder that NEEDLEWORK_MIRROR names comes before the network; what broke off is resumed.

    \b
    needlework fetch --configfile config/paper.yaml --accept gemma
    """
    from needlework import terminal
    from needlework.external import fetching, locks, registry
    from needlework.study import downloads

    fetcher = fetching.Fetcher(
        registry=registry.registry(),
        directory=directory,
        mirror=fetching.mirror_from_environment(),
        offline=offline,
        accepted=frozenset(accept),
        lock=locks.known(locks.PATH),
        meter=terminal.meter,
    )
    if configfile is None:
        downloads.get(names or fetcher.registry.free(), fetcher)
    elif names:
        raise click.UsageError("give NAMES or --configfile, not both")
    else:
        downloads.fetch_study(configfile, fetcher)


@click.command()
@click.option(
    "--update", "hub_ids", multiple=True, required=True, metavar="HUB_ID", help="What to move."
)
@click.option("--directory", type=FOLDER, default="resources/external", show_default=True)
def pin(hub_ids: tuple[str, ...], directory: Path) -> None:
    """Move hub ids in config/models.lock.yaml to their last commit, and say what changed.

    Weights are downloaded by the next `needlework fetch --configfile FILE`. Only the cells of these
    models are computed again.
    """
    from needlework.external import fetching, locks, registry
    from needlework.study import downloads

    fetcher = fetching.Fetcher(
        registry=registry.registry(), directory=directory, lock=locks.known(locks.PATH)
    )
    for hub_id in hub_ids:
        downloads.move(hub_id, fetcher)
