"""Commands that hand a study on: bundled, reviewed, or in the formats of other tools."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from needlework.commands.options import EXISTING, EXISTING_FOLDER, FILE, FOLDER
from needlework.terminal import printable

if TYPE_CHECKING:
    from needlework.artifact.review import Recomputed, Review

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
@click.option("--key", type=EXISTING, required=True, help="A private key of OpenSSH.")
def sign(archive: Path, key: Path) -> None:
    """Sign an artifact with a KEY of OpenSSH: ARCHIVE.sig, which `review --signers` checks."""
    from needlework.artifact import signing

    click.echo(str(signing.sign(archive, key)))


@click.command()
@click.argument("archive", type=EXISTING)
@click.option("--templates", type=FOLDER, help="Other templates than those of this version.")
@click.option(
    "--recompute",
    type=click.IntRange(min=1),
    help="Let the models answer so many random samples of every cell again; needs their weights.",
)
@click.option("--seed", type=click.IntRange(min=0), help="What draws them; a new one each time.")
@click.option("--device", help="Of --recompute; a GPU where there is one by default.")
@click.option(
    "--signers",
    type=EXISTING,
    help="Whose signatures count: lines of a name and a public key, as allowed_signers of OpenSSH.",
)
@click.option("--signature", type=EXISTING, help="ARCHIVE.sig when left out.")
def review(
    archive: Path,
    templates: Path | None,
    recompute: int | None,
    seed: int | None,
    device: str | None,
    signers: Path | None,
    signature: Path | None,
) -> None:
    """Check whether the tables in an artifact follow from its predictions, and say what does not.

    Needs no GPU and no network. The exit code is 0 when everything follows, 1 when something does
    not, 2 when the file is no artifact or cannot be reviewed so, and 3 after a mistake of ours.
    All that reads the artifact takes no more than an hour and 4 GB of memory; what models of your
    own take with --recompute is not limited.
    """
    from needlework import bounded, installed

    signed_by = None
    if signers is not None:
        from needlework.artifact import signing

        given = signature or archive.with_name(archive.name + signing.SUFFIX)
        signed_by = signing.signer(archive, given, signers)
    size = archive.stat().st_size / bounded.MEGABYTE
    limits = bounded.Limits(seconds=3600 + 60 * size, megabytes=4000 + 10 * size)
    checked = bounded.go_on_in_child(what=f"the review of {archive}", limits=limits)
    from needlework.artifact.review import review as check
    from needlework.paper.outputs import OUTPUTS

    found = check(
        archive,
        templates=templates or installed.root() / "reports/templates",
        preset=OUTPUTS,
        again=None if recompute is None else _asking(recompute, seed, device, checked),
    )
    _tell(found, signed_by)
    if not found.passed:
        raise click.exceptions.Exit(EXIT_FAILED)


def _asking(
    count: int, seed: int | None, device: str | None, checked: "Callable[[], None]"
) -> "Callable[[Path], Recomputed]":
    """What asks the models of an artifact again; which samples, nobody can know before.

    By then everything in it was `checked`, and limits end.
    """
    import secrets

    from needlework.artifact.recomputing import Asking
    from needlework.engine.predict import Machine

    machine = Machine(device=device, threads=1, memory=None)
    drawn = secrets.randbits(32) if seed is None else seed
    asking = Asking(count=count, seed=drawn, machine=machine)

    def ask(artifact: Path) -> "Recomputed":
        checked()
        return asking(artifact)

    return ask


def _tell(found: "Review", signed_by: str | None) -> None:
    """Everything a review found; the words of strangers are shown as a terminal shows text."""
    _say(*_checks(found))
    _say("", "questions")
    for question, answer in found.verdicts():
        _say(f"  {answer:<10} {question.name}: {question.remark}")
    _say(*(f"note: {remark}" for remark in found.remarks))
    _say("", "claims")
    for claim in found.claims:
        cells = f", from {len(claim.cells)} cells" if claim.cells else ""
        verdict = claim.verdict or "not measured"
        _say(f"  {claim.claim} {verdict} <- {claim.command} -> {claim.output}{cells}")
    _say("", "made by")
    _say(*(f"  {command} -> {names}" for command, names in found.commands))
    _say("", "not shown")
    _say(*(f"  {line}" for line in found.not_shown))
    if signed_by is None:
        _say("  who made it: --signers says whose signatures count")
    _say(*(f"  not compared with anything: {name}" for name in found.believed))
    if signed_by is not None:
        _say("", f"signed by {signed_by}")
    passed = sum(line.passed for line in found.lines)
    _say("", f"{passed} of {len(found.lines)} checks passed")


def _checks(found: "Review") -> "Iterator[str]":
    for line in found.lines:
        yield f"{'ok    ' if line.passed else 'FAILED'} {line.check}"
        yield from (f"         {problem}" for problem in line.problems)


def _say(*lines: str) -> None:
    for line in lines:
        click.echo(printable(line))
