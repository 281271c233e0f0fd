"""`python -m benchmarks COMMAND`, in a checkout: measurements beside what people use today."""

import sys
from pathlib import Path
from typing import TypedDict, Unpack

import click

from needlework.commands.options import EXISTING, EXISTING_FOLDER, FILE, FOLDER
from needlework.errors import NeedleworkError


class LaptopOptions(TypedDict):
    """The options of `laptop` that say what is measured."""

    harness: Path
    checkpoint: Path
    lengths: tuple[int, ...]
    tasks: tuple[str, ...]
    samples: int
    rounds: int
    threads: int


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


@main.command("slots")
@click.argument("output", type=FILE)
@click.option("--rows", type=click.IntRange(min=2), default=8, show_default=True)
@click.option("--leaving", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--tokens", type=click.IntRange(min=2), default=16_384, show_default=True)
def slots(output: Path, rows: int, leaving: int, tokens: int) -> None:
    """Count what is copied when LEAVING of ROWS are exchanged; write OUTPUT (Markdown).

    For every checkpoint in bfloat16, with slots and without. Needs no GPU and no checkpoint.
    """
    from benchmarks.slots import counts, table
    from needlework.cost.published import CHECKPOINTS
    from needlework.files import write_text

    if 2 * leaving > rows:
        raise click.UsageError(f"--leaving {leaving} is more than half of --rows {rows}")
    found = list(counts(list(CHECKPOINTS), rows=rows, leaving=leaving, tokens=tokens))
    write_text(output, table(found))
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


@main.command("start")
@click.argument("output", type=FILE)
@click.option("--tokenizer", type=EXISTING, required=True, help="A tokenizer.json.")
@click.option("--resources", type=FOLDER, default="resources/external", show_default=True)
@click.option(
    "--length", "lengths", type=click.IntRange(min=1), multiple=True, default=[1024, 16_384]
)
@click.option("--samples", type=click.IntRange(min=1), default=250, show_default=True)
@click.option("--memory", type=click.IntRange(min=1), default=2500, show_default=True)
def start(
    output: Path,
    tokenizer: Path,
    resources: Path,
    lengths: tuple[int, ...],
    samples: int,
    memory: int,
) -> None:
    """Let cells start with two checkpoints of 2.7B random weights, up to their first forward call.

    Writes OUTPUT (Markdown): seconds of each step. Files of 6 GB lie beside it meanwhile, and some
    that are kept; --memory is megabytes beside the weights.
    """
    from benchmarks import starts as bench
    from needlework.files import write_text

    asked = bench.Asked(
        tokenizer=tokenizer,
        resources=resources,
        lengths=lengths,
        samples=samples,
        memory=memory,
    )
    write_text(output, bench.table(list(bench.measure(asked, output.parent / output.stem))))
    click.echo(output.read_text(encoding="utf-8"))


@main.command("laptop")
@click.argument("output", type=FILE)
@click.option(
    "--harness", type=EXISTING, required=True, help="A Python that has lm_eval; `make bench` has."
)
@click.option("--llama-cpp", type=FILE, help="A Python that has llama_cpp.")
@click.option("--checkpoint", type=EXISTING, required=True, help="A GGUF file.")
@click.option(
    "--length", "lengths", type=click.IntRange(min=1), multiple=True, default=[1024, 2048, 4096]
)
@click.option("--task", "tasks", multiple=True, help="May be repeated.  [default: four of RULER]")
@click.option("--samples", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--resources", type=FOLDER, default="resources/external", show_default=True)
def laptop(
    output: Path, llama_cpp: Path | None, resources: Path, **given: Unpack[LaptopOptions]
) -> None:
    """Let transformers, the harness, llama.cpp and the engine answer the prompts of a real model.

    Writes OUTPUT (JSON) and a table beside it (.md): CPU seconds a sample, equal answers, scores.
    """
    from benchmarks import laptop as bench
    from benchmarks.laptop_table import markdown
    from needlework.files import write_text

    refused = bench.check_llama_cpp(llama_cpp) if llama_cpp else "--llama-cpp names no Python"
    if refused:
        click.echo(f"llama.cpp is skipped: {refused}", err=True)
    given["tasks"] = given["tasks"] or bench.TASKS
    asked = bench.Asked(llama_cpp=None if refused else llama_cpp, **given)
    found = bench.measure(asked, output.parent / output.stem, resources)
    write_text(output, found.model_dump_json() + "\n")
    write_text(output.with_suffix(".md"), markdown(found))
    click.echo(output.with_suffix(".md").read_text(encoding="utf-8"))


@main.command("harness-scores")
@click.argument("folder", type=EXISTING_FOLDER)
@click.option(
    "--harness", type=EXISTING, required=True, help="A Python that has lm_eval; `make bench` has."
)
def harness_scores(folder: Path, harness: Path) -> None:
    """Score what `needlework export --format lm-eval` wrote to FOLDER by the harness' own scorer.

    Prints a table: tasks, samples, how many of them get another score than ours.
    """
    from benchmarks.scorers import compare

    click.echo(compare(folder, harness))


if __name__ == "__main__":
    try:
        main()
    except NeedleworkError as error:
        sys.exit(f"benchmarks: {error}")
