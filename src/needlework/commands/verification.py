"""The commands that prove a checkpoint before it may answer, and that make a rounded one."""

from pathlib import Path
from typing import Unpack

import click

from needlework.commands.options import (
    EXISTING,
    FILE,
    CheckpointOptions,
    checkpoint_options,
    machine_options,
)
from needlework.commands.serving import server_of


@click.command("verify-model")
@click.argument("output", type=FILE)
@checkpoint_options
@machine_options
@click.option("--served", type=EXISTING, help="With --backend server: what `served` wrote.")
@click.option("--tokenizer", help="With --backend server: a folder, a file or a hub id.")
@click.option("--tokenizer-revision", help="The commit of a hub id.")
def verify_model(
    output: Path,
    device: str | None,
    threads: int,
    server: str | None,
    served: Path | None,
    tokenizer: str | None,
    tokenizer_revision: str | None,
    **model: Unpack[CheckpointOptions],
) -> None:
    """Prove a checkpoint: every tensor placed, logits as another library has them.

    The model reads as a cell does, in its dtype, on its device and with its kernels: prompts longer
    than its window in pieces, then 16 tokens one by one. A CPU reads what takes it 20 seconds by
    the cost model, 300 tokens at least. The other library reads all of it in one pass, in float32.

    OUTPUT, named after the model, says what was compared, with whom, and how far logits differ. A
    checkpoint that fails writes nothing: the exit code is 2, the numbers are in its one line.

    Of a model on a server, what it wrote after short prompts is compared with what its weights
    write here, where they are at hand.
    """
    if model["backend"] == "server":
        from needlework.engine.servers import weights

        if served is None or tokenizer is None:
            raise click.UsageError("--backend server needs --served and --tokenizer")
        weights.verify(
            output,
            served,
            server=server_of({**model, "server": server}),
            tokenizer=tokenizer,
            tokenizer_revision=tokenizer_revision,
            dtype=model["dtype"],
        )
        return
    from needlework.engine import verification as rule

    rule.verify_model(output, rule.Candidate(**model), device=device, threads=threads)


@click.command("round-weights")
@click.argument("source", type=EXISTING)
@click.argument("output", type=FILE)
@click.option(
    "--to",
    "kind",
    type=click.Choice(["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"]),
    required=True,
    help="What every matrix is rounded to.",
)
def round_weights(source: Path, output: Path, kind: str) -> None:
    """Write a GGUF file, SOURCE, to OUTPUT with its weights rounded: the same model in fewer bits.

    What the file says otherwise, its tokenizer included, is kept; the same file gives the same
    bytes. Weights that are rounded already are rounded a second time, or with F32 written out.
    """
    from needlework.models.checkpoints import gguf_rounding

    gguf_rounding.round_weights(source, output, kind)
