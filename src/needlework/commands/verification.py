"""The command that proves a checkpoint before it may answer."""

from pathlib import Path
from typing import Unpack

import click

from needlework.commands.options import (
    FILE,
    CheckpointOptions,
    checkpoint_options,
    machine_options,
)


@click.command("verify-model")
@click.argument("output", type=FILE)
@checkpoint_options
@machine_options
def verify_model(
    output: Path, device: str | None, threads: int, **model: Unpack[CheckpointOptions]
) -> None:
    """Prove a checkpoint: every tensor placed, 64 tokens of logits as another library has them.

    OUTPUT, named after the model, says what was compared, or why nothing was. A checkpoint that
    fails writes nothing: the exit code is 2, the numbers are in its one line.
    """
    from needlework.models import verification as rule

    rule.verify_model(output, rule.Candidate(**model), device=device, threads=threads)
