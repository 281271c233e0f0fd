"""Commands that run or train models, and report what the machine can do."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn, Unpack

import click

from needlework.commands.options import (
    EXISTING,
    FILE,
    FOLDER,
    ONLY,
    PACKAGED,
    PROTOCOL,
    CheckpointOptions,
    checkpoint_options,
    machine_options,
    stopping,
    suite_tasks,
)

if TYPE_CHECKING:
    from needlework.defects import Hazard
    from needlework.records import Reasoning


class ModelOptions(CheckpointOptions):
    """The options of `predict` that say which model answers, and how it is computed."""

    tokenizer: str
    tokenizer_revision: str | None
    hazards: "tuple[Hazard, ...]"
    begin_token: bool


@click.command()
@click.option("--models", type=PACKAGED, default="config/models.yaml", show_default=True)
def doctor(models: Path) -> None:
    """Show what this machine can do: device, kernels, versions, longest context of every model."""
    from needlework.cluster.doctor import examine
    from needlework.external import locks
    from needlework.study.catalogue import read_models
    from needlework.study.pins import pinned

    lock = locks.known(models.with_name(locks.NAME))
    catalogue = pinned(read_models(models), lock)
    for line in examine(catalogue.models):
        click.echo(line)


@click.command()
@click.argument("output", type=FILE)
@click.argument("datasets", type=EXISTING, nargs=-1, required=True)
@checkpoint_options
@click.option("--tokenizer", required=True, help="A folder, a file or a hub id.")
@click.option("--tokenizer-revision", help="The commit of a hub id.")
@click.option("--tasks", type=EXISTING, required=True, help="The suite's tasks, by name.")
@PROTOCOL
@click.option(
    "--hazard",
    "hazards",
    type=click.Choice(["mamba-sampling", "no-begin-token", "m2a-conv-state", "rg-window"]),
    multiple=True,
    help="A published defect to switch on; may be repeated.",
)
@click.option(
    "--begin-token/--no-begin-token",
    default=True,
    help="Put the tokenizer's begin token before prompts; those of a chat template have theirs.",
)
@click.option("--thought-end", help="What the model writes after thoughts, which are not scored.")
@click.option("--thought-tokens", type=click.IntRange(min=1), help="Most tokens of its thoughts.")
@machine_options
@click.option("--memory", type=click.IntRange(min=1), help="Megabytes; half of what is free.")
@ONLY
@click.option("--shard", help="One of N parts of the cell, e.g. 1/4; `merge` makes one of them.")
@click.option("--server-log", type=FILE, help="Where the log of a server that is started goes.")
@click.option(
    "--likelihood", is_flag=True, help="Tell how likely references and distractors are, too."
)
def predict(
    output: Path,
    datasets: tuple[Path, ...],
    tasks: Path,
    protocol: Literal["released", "corrected"],
    device: str | None,
    threads: int,
    memory: int | None,
    only: tuple[str, ...],
    shard: str | None,
    thought_end: str | None,
    thought_tokens: int | None,
    server: str | None,
    server_log: Path | None,
    likelihood: bool,
    **model: Unpack[ModelOptions],
) -> None:
    """Answer the DATASETS of one cell, each named TASK.jsonl; OUTPUT holds one line per sample.

    OUTPUT.journal keeps every finished sample: a killed run continues where it was, and asking for
    more samples computes only the new ones. After SIGTERM the exit code is 75: run it again.
    """
    from needlework.scores.shards import parse_shard

    specs = suite_tasks(tasks, only)
    part = parse_shard(shard) if shard else None
    if likelihood and (model["backend"] == "server" or thought_end):
        _refuse_likelihood(model["checkpoint"], is_served=model["backend"] == "server")
    if model["backend"] == "server":
        from needlework.commands.serving import predict_served

        asked = {**model, "server": server, "protocol": protocol}
        predict_served(
            output, datasets, model=asked, tasks=specs, shard=part, server_log=server_log
        )
        return
    from needlework.engine import predict as rule

    with stopping():
        rule.predict(
            output,
            datasets,
            model=rule.Model(**model, reasoning=_reasoning(thought_end, thought_tokens)),
            tasks=specs,
            protocol=protocol,
            machine=rule.Machine(device=device, threads=threads, memory=memory),
            shard=part,
            likelihood=likelihood,
        )


def _refuse_likelihood(checkpoint: str, *, is_served: bool) -> NoReturn:
    """Say why nobody can tell how likely this model takes a text to be behind the prompt."""
    from needlework.errors import StudyError

    why = (
        "a server tells no probability of a given text"
        if is_served
        else "it thinks before it answers, so no answer follows the prompt"
    )
    raise StudyError(f"--likelihood: {checkpoint}: {why}; leave the option out")


def _reasoning(end: str | None, tokens: int | None) -> "Reasoning | None":
    """How the model thinks, if it does."""
    from needlework.records import Reasoning

    if (end is None) != (tokens is None):
        raise click.UsageError("give --thought-end and --thought-tokens together, or neither")
    return Reasoning(end=end, tokens=tokens) if end and tokens else None


@click.command()
@click.argument("output", type=FILE)
@click.argument("parts", type=EXISTING, nargs=-1, required=True)
@click.option("--tasks", type=EXISTING, required=True, help="The suite's tasks, by name.")
@ONLY
def merge(output: Path, parts: tuple[Path, ...], tasks: Path, only: tuple[str, ...]) -> None:
    """Make the predictions of a cell from PARTS, those of all its shards."""
    from needlework.scores import shards

    shards.merge(parts, list(suite_tasks(tasks, only)), output)


@click.command("train-nano")
@click.argument("architecture")
@click.argument("folder", type=FOLDER)
@click.option("--tasks", type=PACKAGED, default="config/tasks.yaml", show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
def train_nano(architecture: str, folder: Path, tasks: Path, seed: int) -> None:
    """Train a nano model of one ARCHITECTURE into FOLDER, by the recipe behind the shipped ones.

    An interrupted run continues from its last checkpoint. On one machine the same seed gives the
    same bytes; FOLDER/card.md holds the digest.
    """
    from needlework.training.training import train_from_tasks

    train_from_tasks(architecture, tasks, folder, seed=seed)
