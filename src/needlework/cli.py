"""The command line: one subcommand per workflow rule, and how errors are shown.

A user's mistake is one line and exit code 2. Heavy imports live inside the commands, so that a job
which only counts does not import torch.
"""

import sys
import traceback

import click

from needlework.commands import (
    artifacts,
    controls,
    data,
    hazards,
    inference,
    measuring,
    planning,
    proving,
    reports,
    scores,
    serving,
    tables,
    verification,
)
from needlework.errors import NeedleworkError
from needlework.terminal import printable

EXIT_MISTAKE, EXIT_OURS = 2, 3
EXIT_INTERRUPTED = 130

COMMANDS = (
    reports.agreement,
    artifacts.artifact,
    reports.audit,
    reports.claims,
    scores.collect,
    controls.compare_controls,
    tables.comparison,
    controls.controls,
    data.dataset,
    scores.diagnose,
    inference.doctor,
    tables.explain,
    reports.explorer,
    artifacts.export,
    data.fetch,
    reports.figure,
    reports.findings,
    hazards.hazards,
    measuring.card,
    measuring.init,
    measuring.measure,
    tables.models,
    data.pin,
    planning.plan,
    inference.merge,
    inference.predict,
    proving.prove,
    reports.report,
    measuring.results,
    artifacts.review,
    reports.schema,
    scores.score,
    artifacts.sign,
    planning.status,
    verification.round_weights,
    serving.served,
    tables.table,
    inference.train_nano,
    verification.verify_model,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="needlework")
def cli() -> None:
    """Measure how far a language model really reads.

    The workflow calls these commands; each makes one kind of file from others and can be run by
    hand. `make study` (or `snakemake`) runs them all, `snakemake table_2` what one table needs.

    A mistake in the input is reported in one line, with exit code 2; no half-written file is left.
    """


for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """Run the command line; a user's mistake is one line on stderr and exit code 2.

    What is left is ours: it keeps its traceback, and its exit code, 3, is that of no verdict.
    """
    try:
        with _Ours():
            status = cli.main(prog_name="needlework", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as help_wanted:
        click.echo(help_wanted.format_message())
        status = EXIT_MISTAKE
    except click.ClickException as error:
        status = _mistake(error.format_message())
    except NeedleworkError as error:
        status = _mistake(str(error))
    except OSError as error:
        told = [error.filename, error.strerror] if error.strerror else [type(error).__name__, error]
        status = _mistake(": ".join(map(str, filter(None, told))))
    except (click.Abort, KeyboardInterrupt):
        status = EXIT_INTERRUPTED
    sys.exit(status)


def _mistake(message: str) -> int:
    click.echo("needlework: " + printable(" ".join(message.split())), err=True)
    return EXIT_MISTAKE


class _Ours:
    """Tells a mistake of ours from what a command found, by the exit code."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        told = (NeedleworkError, OSError, click.ClickException, click.Abort)
        if kind is not None and issubclass(kind, Exception) and not issubclass(kind, told):
            traceback.print_exc()
            sys.exit(EXIT_OURS)
