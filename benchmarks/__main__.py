"""`python -m benchmarks COMMAND`, in a checkout: measurements beside what people use today."""

from pathlib import Path

import click

from needlework.commands.options import EXISTING_FOLDER, FILE, FOLDER


@click.group()
def main() -> None:
    """Measure the engine and the generators beside what people use today."""


@main.command("engine")
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
def engine(
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
    from benchmarks.measure import Effort, measure
    from benchmarks.result import markdown
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


@main.command("memory")
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
def memory(
    output: Path, checkpoints: tuple[Path, ...], lengths: tuple[int, ...], threads: int
) -> None:
    """Read long prompts on the CPU and write to OUTPUT (Markdown) what memory they took."""
    from benchmarks.memory import readings, table
    from needlework.files import write_text

    write_text(output, table(list(readings(checkpoints, lengths, threads=threads))))
    click.echo(output.read_text(encoding="utf-8"))


@main.command("launches")
@click.argument("output", type=FILE)
@click.option("--flash/--no-flash", help="As if flash-attn were installed; default: as if not.")
@click.option("--rows", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--details", "detailed", is_flag=True, help="By name of what is launched.")
def launches(output: Path, flash: bool, rows: int, detailed: bool) -> None:
    """Count launches and bytes of every checkpoint in bfloat16; write OUTPUT (Markdown).

    Needs .venv-kernels (`make .venv-kernels/ready`), no GPU and no checkpoint.
    """
    from benchmarks.launches import counts, details, table
    from needlework.cost.published import CHECKPOINTS
    from needlework.files import write_text

    found = list(counts(list(CHECKPOINTS), rows=rows, flash=flash))
    write_text(output, table(found) + ("\n" + details(found) if detailed else ""))
    click.echo(output.read_text(encoding="utf-8"))


@main.command("data")
@click.argument("output", type=FILE)
@click.option("--tokenizer", required=True, help="A folder or a file.")
@click.option("--resources", type=FOLDER, default="resources/external", show_default=True)
@click.option("--golden", type=EXISTING_FOLDER, help="The artifact's outputs and questions.")
@click.option("--samples", type=click.IntRange(min=1), default=250, show_default=True)
def data(output: Path, tokenizer: str, resources: Path, golden: Path | None, samples: int) -> None:
    """Time every released dataset of the paper beside the artifact; write OUTPUT (Markdown)."""
    from benchmarks import released_data as bench

    measured = list(bench.measure(tokenizer, resources, golden=golden, samples=samples))
    long = list(bench.measure_long(tokenizer, resources))
    bench.write(measured, long, output, golden=golden)


if __name__ == "__main__":
    main()
