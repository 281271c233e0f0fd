"""Commands that measure the engine."""

from pathlib import Path

import click

from needlework.commands.options import EXISTING_FOLDER, FILE


@click.command()
@click.argument("output", type=FILE)
@click.option(
    "--harness",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="A Python that has lm_eval; `make bench` makes one.",
)
@click.option("--samples", type=click.IntRange(min=1), default=100, show_default=True)
@click.option(
    "--harness-samples",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Samples of a task for lm-evaluation-harness, which is slower.",
)
@click.option(
    "--one-by-one-samples",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Samples of a task for the one-by-one loop, which is slower still.",
)
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
def bench(
    output: Path,
    harness: Path,
    samples: int,
    harness_samples: int,
    one_by_one_samples: int,
    rounds: int,
    threads: int,
) -> None:
    """Let transformers, lm-evaluation-harness and the engine answer the same prompts in turns.

    Writes OUTPUT (JSON) and a table beside it (.md). Both suites at 256 and 1024 tokens, nano
    Llama and Mamba2, float32 on the CPU, the same greedy tokens.
    """
    from needlework.engine.bench.measure import Effort, measure
    from needlework.engine.bench.result import markdown
    from needlework.files import write_text

    effort = Effort(
        samples=samples,
        harness_samples=harness_samples,
        one_by_one_samples=one_by_one_samples,
        rounds=rounds,
        threads=threads,
    )
    result = measure(effort, output.parent / output.stem, harness)
    write_text(output, result.model_dump_json() + "\n")
    write_text(output.with_suffix(".md"), markdown(result))
    click.echo(output.with_suffix(".md").read_text(encoding="utf-8"))


@click.command("bench-memory")
@click.argument("output", type=FILE)
@click.option(
    "--model",
    "checkpoints",
    type=EXISTING_FOLDER,
    multiple=True,
    default=["resources/nano/mamba2", "resources/nano/rwkv6"],
    show_default=True,
    help="A checkpoint; may be repeated.",
)
@click.option(
    "--tokens",
    "lengths",
    type=click.IntRange(min=1),
    multiple=True,
    default=[16_384, 131_072],
    show_default=True,
    help="Length of a prompt; may be repeated.",
)
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
def bench_memory(
    output: Path, checkpoints: tuple[Path, ...], lengths: tuple[int, ...], threads: int
) -> None:
    """Read long prompts on the CPU and write to OUTPUT (Markdown) what memory they took."""
    from needlework.engine.bench.memory import readings, table
    from needlework.files import write_text

    write_text(output, table(list(readings(checkpoints, lengths, threads=threads))))
    click.echo(output.read_text(encoding="utf-8"))
