"""`python -m benchmarks.likelihoods`, in a checkout: what likelihoods cost a cell.

The RULER suite of the nano study, answered with and without likelihoods, in turns and in one
process: CPU seconds of `predict_cell`, journal included, models and samples already loaded.
"""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median

import click

from needlework import installed, models, tokenizers
from needlework.engine.cell import Dataset, predict_cell
from needlework.engine.processor import prepare_processor
from needlework.models.decoder import Decoder
from needlework.nano import language
from needlework.study.catalogue import read_tasks
from needlework.study.datasets import asked, distractors_of
from needlework.tasks import generate
from needlework.tokenizers import Tokenizer

TOKENIZER = "resources/nano/tokenizer"
LENGTHS = (256, 512, 1024, 2048)


@click.command()
@click.option("--model", "names", multiple=True, default=("mamba2", "llama"), show_default=True)
@click.option("--length", "lengths", type=int, multiple=True, default=LENGTHS, show_default=True)
@click.option("--samples", type=click.IntRange(min=1), default=4, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True)
def main(names: tuple[str, ...], lengths: tuple[int, ...], samples: int, rounds: int) -> None:
    """Print a table: per model and length the median of all rounds, and of the extra share."""
    prepare_processor(1)
    source = str(installed.find(TOKENIZER))
    tokenizer = tokenizers.load(source)
    click.echo("| model | length | samples | without, CPU s | with, CPU s | more, % |")
    click.echo("|---|---:|---:|---:|---:|---:|")
    for name in names:
        decoder = models.load(str(installed.find(f"resources/nano/{name}")))
        for length in lengths:
            cell = _cell(source, tokenizer, length, samples)
            found = _rounds(decoder, tokenizer, cell, rounds)
            more = median(100 * (slow / fast - 1) for fast, slow in found)
            fast, slow = (median(each) for each in zip(*found, strict=True))
            count = sum(len(each.samples) for each in cell.values())
            click.echo(f"| {name} | {length} | {count} | {fast:.2f} | {slow:.2f} | {more:.1f} |")


def _cell(source: str, tokenizer: Tokenizer, length: int, samples: int) -> dict[str, Dataset]:
    """The samples of all tasks with their distractors."""
    found = {}
    known = read_tasks(installed.find("config/tasks.yaml")).nano
    for task, spec in known.chosen("ruler", None, where="tasks").items():
        wanted = asked(
            task=task,
            spec=spec,
            length=length,
            samples=samples,
            seed=0,
            protocol="corrected",
            material="nano",
            wording=None,
            resources=Path(),
            questions=None,
            tokenizer=source,
            revision=None,
            wrapper="base",
            template_options=None,
            thinks=False,
        )
        rows = list(
            generate(
                spec,
                material=language.material(),
                tokenizer=tokenizer,
                length=length,
                samples=samples,
                seed=0,
                task=task,
            )
        )
        found[task] = Dataset(
            samples=[sample for sample, _ in rows],
            tokens_to_generate=spec.tokens_to_generate,
            metric=spec.metric,
            distractors={each.index: distractors_of(wanted, each, about) for each, about in rows},
        )
    return found


def _rounds(
    decoder: Decoder, tokenizer: Tokenizer, cell: Mapping[str, Dataset], rounds: int
) -> list[tuple[float, float]]:
    """CPU seconds without and with likelihoods, the order changing; the first round warms up."""
    silent = {task: replace(each, distractors=None) for task, each in cell.items()}
    found = []
    for number in range(rounds + 1):
        seconds = {}
        for asks in (False, True) if number % 2 else (True, False):
            seconds[asks] = _seconds(decoder, tokenizer, cell if asks else silent)
        found.append((seconds[False], seconds[True]))
    return found[1:]


def _seconds(decoder: Decoder, tokenizer: Tokenizer, cell: Mapping[str, Dataset]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        predict_cell(decoder, tokenizer, cell, revision="", journal=Path(folder, "journal"))
        return time.process_time() - start


if __name__ == "__main__":
    main()
