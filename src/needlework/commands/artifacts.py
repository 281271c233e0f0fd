"""Commands that hand a study on: bundled, reviewed, or in the formats of other tools."""

from pathlib import Path
from typing import Literal

import click

from needlework.commands.options import EXISTING, EXISTING_FOLDER, FILE, FOLDER

EXIT_FAILED = 1
"""The review ran, and something did not agree."""


@click.command()
@click.argument("study", type=EXISTING_FOLDER)
@click.argument("output", type=FILE)
@click.argument("inputs", type=EXISTING, nargs=-1)
def artifact(study: Path, output: Path, inputs: tuple[Path, ...]) -> None:
    """Bundle the folder of a STUDY and its INPUTS as one zip file that anyone can review."""
    from needlework.artifact.bundle import write_artifact

    write_artifact(study, output, inputs=inputs)


@click.command()
@click.argument("study", type=EXISTING_FOLDER)
@click.argument("output", type=FOLDER)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["lm-eval", "ruler"]),
    required=True,
    help="Files of lm-evaluation-harness, or of RULER.",
)
def export(study: Path, output: Path, kind: Literal["lm-eval", "ruler"]) -> None:
    """Write the scores and answers of a STUDY as other tools write theirs, below OUTPUT."""
    from needlework.artifact import export as exporting

    exporting.FORMATS[kind](study, output)


@click.command()
@click.argument("archive", type=EXISTING)
@click.option("--templates", type=FOLDER, help="Other templates than those of this version.")
def review(archive: Path, templates: Path | None) -> None:
    """Check whether the tables in an artifact follow from its predictions, and say what does not.

    Needs no GPU and no network. The exit code is 1 when something does not agree.
    """
    from needlework import installed
    from needlework.artifact.review import review as check

    found = check(archive, templates=templates or installed.root() / "reports/templates")
    for line in found.lines:
        click.echo(f"{'ok    ' if line.passed else 'FAILED'} {line.check}")
        for problem in line.problems:
            click.echo(f"         {problem}")
    click.echo("\nquestions")
    for question, answer in found.verdicts():
        click.echo(f"  {answer:<10} {question.name}: {question.remark}")
    for remark in found.remarks:
        click.echo(f"note: {remark}")
    click.echo("\nclaims")
    for claim in found.claims:
        cells = f", from {len(claim.cells)} cells" if claim.cells else ""
        verdict = claim.verdict or "not measured"
        click.echo(f"  {claim.claim} {verdict} <- {claim.command} -> {claim.output}{cells}")
    click.echo("\nmade by")
    for command, names in found.commands:
        click.echo(f"  {command} -> {names}")
    passed = sum(line.passed for line in found.lines)
    click.echo(f"\n{passed} of {len(found.lines)} checks passed")
    if not found.passed:
        raise click.exceptions.Exit(EXIT_FAILED)
