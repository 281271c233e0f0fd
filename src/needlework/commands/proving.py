"""The command that shows what a machine computes rightly, and how fast."""

from pathlib import Path

import click

from needlework.commands.options import EXISTING, FOLDER


@click.command()
@click.option("--output", type=FOLDER, required=True, help="The folder of all results.")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=12,
    show_default=True,
    help="What does not fit into them is not run; the same command goes on with it.",
)
@click.option(
    "--causal-conv1d",
    "source",
    type=EXISTING,
    help="Its source distribution, to be compiled for this GPU beside the first steps.",
)
def prove(output: Path, minutes: float, source: Path | None) -> None:
    """Show what this machine computes rightly, and how fast, in OUTPUT/prove.md and prove.json.

    On a GPU: kernels against float64, the eight checkpoints of arXiv:2407.08112 at their sizes with
    random weights (prompts and answers a second, memory, longest context), 128K tokens, answers
    under different batches. Most important first; what is done stays done. `needlework plan
    --measured OUTPUT/prove.json` computes with what was measured. Without a GPU the same steps run
    at toy sizes, which say nothing of one. Not yet run on a GPU.
    """
    from needlework.proving.running import prove as run

    run(output, minutes=minutes, source=source, say=click.echo)
