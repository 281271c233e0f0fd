"""`python -m benchmarks.windows FOLDER`, in a checkout: how small a window may Griffin have?

The nano Griffin is trained by the recipe with smaller windows of attention than its training
length, and asked for single needles in prompts of that length. A killed run goes on from its last
checkpoint.
"""

import logging
from pathlib import Path
from unittest import mock

import click

from needlework import installed, models
from needlework.models.config import Attention
from needlework.nano.architectures import LAYERS, TRAINED_LENGTH
from needlework.study.catalogue import read_tasks
from needlework.training.curriculum import Curriculum
from needlework.training.training import Recipe, train, validate

SINGLE = ("niah_single_1", "niah_single_2", "niah_single_3")


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--window", "windows", type=int, multiple=True, default=(64, 128, 192))
@click.option("--seed", type=int, default=0, show_default=True, help="Of the training.")
@click.option("--samples", type=click.IntRange(min=1), default=200, show_default=True)
def main(folder: Path, windows: tuple[int, ...], seed: int, samples: int) -> None:
    """Train the windows that FOLDER lacks; print the shares of single needles that are found."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    tasks = read_tasks(installed.find("config/tasks.yaml")).nano.chosen(
        "ruler", None, where="ruler"
    )
    curriculum = Curriculum(tasks)
    asked = Curriculum({task: tasks[task] for task in SINGLE})
    click.echo("| window | " + " | ".join(SINGLE) + " | mean |")
    click.echo("|---:|" + "---:|" * (len(SINGLE) + 1))
    for window in (*windows, TRAINED_LENGTH):
        scores = validate(
            models.load(str(_trained(folder, window, curriculum, seed))), asked, seed, samples
        )
        cells = [f"{scores[task]:.3f}" for task in SINGLE]
        mean = sum(scores.values()) / len(scores)
        click.echo(f"| {window} | " + " | ".join(cells) + f" | {mean:.3f} |")


def _trained(folder: Path, window: int, curriculum: Curriculum, seed: int) -> Path:
    """The checkpoint of Griffin with one window; the shipped one for the shipped window."""
    if window == TRAINED_LENGTH:
        return installed.find("resources/nano/griffin")
    checkpoint = folder / f"griffin-window{window}"
    if not (checkpoint / "card.md").exists():
        layers = tuple(
            layer.model_copy(update={"window": window}) if isinstance(layer, Attention) else layer
            for layer in LAYERS["griffin"]
        )
        with mock.patch.dict(LAYERS, griffin=layers):
            train("griffin", curriculum, Recipe(seed=seed), checkpoint)
    return checkpoint


if __name__ == "__main__":
    main()
