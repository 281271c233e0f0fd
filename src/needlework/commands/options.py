"""What paths on the command line must be, options that commands share, and the exit code of a job
that was stopped.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import click

from needlework.study.paper import SAMPLES as PUBLISHED_SAMPLES

if TYPE_CHECKING:
    import os

    from needlework.tasks.specs import Spec


class Packaged(click.Path):
    """A path which, where nothing is there, may be that of a file which comes with the package."""

    def convert(
        self,
        value: "str | os.PathLike[str]",
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> "str | bytes | os.PathLike[str]":
        """The path; a wrong one is refused as `click.Path` does."""
        from needlework import installed

        return super().convert(installed.find(value), param, ctx)


PACKAGED = Packaged(exists=True, dir_okay=False, path_type=Path)
PACKAGED_FOLDER = Packaged(exists=True, file_okay=False, path_type=Path)
EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)
EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)

EXIT_STOPPED = 75
"""EX_TEMPFAIL of sysexits.h: stopped from outside; the same command continues."""

Command = Callable[..., Any]


class CheckpointOptions(TypedDict):
    """The options that say which weights are meant, and who computes with them."""

    checkpoint: str
    revision: str | None
    dtype: Literal["float32", "bfloat16", "float16"]
    backend: Literal["needlework", "transformers", "server"]
    trust_remote_code: bool


_CHECKPOINT = (
    click.option("--checkpoint", required=True, help="A folder, an RWKV .pth file or a hub id."),
    click.option("--revision", help="The commit of a hub id."),
    click.option(
        "--dtype",
        type=click.Choice(["float32", "bfloat16", "float16"]),
        default="float32",
        show_default=True,
    ),
    click.option(
        "--backend",
        type=click.Choice(["needlework", "transformers", "server"]),
        default="needlework",
        show_default=True,
        help="Our decoder, any model that transformers can load, or one on a server.",
    ),
    click.option(
        "--server",
        help="With --backend server: the keys of the entry about it, as JSON; docs/servers.md.",
    ),
    click.option(
        "--trust-remote-code", is_flag=True, help="Let transformers run a model's own code."
    ),
)
_MACHINE = (
    click.option("--device", help="cpu or cuda; a GPU where there is one by default."),
    click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True),
)


def checkpoint_options(command: Command) -> Command:
    """Give a command the options of `CheckpointOptions`."""
    return _with(_CHECKPOINT, command)


def machine_options(command: Command) -> Command:
    """Give a command `--device` and `--threads`."""
    return _with(_MACHINE, command)


def _with(options: tuple[Command, ...], command: Command) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


GRID = click.option(
    "--grid", type=EXISTING, required=True, help="The cells that the study asks for."
)
MODELS = click.option("--models", type=EXISTING, required=True, help="What to say of every model.")
SAMPLES = click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=PUBLISHED_SAMPLES,
    show_default=True,
    help="Samples behind each published score.",
)
ONLY = click.option(
    "--task", "only", multiple=True, help="Only this task of the suite; may be given several times."
)


PROTOCOL = click.option(
    "--protocol",
    type=click.Choice(["released", "corrected"]),
    default="corrected",
    show_default=True,
    help="How the prompts were made; written into every prediction.",
)


@contextmanager
def stopping() -> Iterator[None]:
    """Work that SIGTERM may stop: one line, and the exit code of a job that goes on when it is run
    again.
    """
    from needlework.engine.interruption import StoppedError

    try:
        yield
    except StoppedError as stopped:
        click.echo(f"needlework: {stopped}", err=True)
        raise click.exceptions.Exit(EXIT_STOPPED) from stopped


def suite_tasks(path: Path, only: tuple[str, ...]) -> "dict[str, Spec]":
    """The tasks of a suite, or those of them that are named.

    Raises:
        StudyError: the file holds no tasks, or not those.
    """
    from needlework.errors import StudyError
    from needlework.parsing import parse, read, unknown
    from needlework.tasks.specs import Spec

    tasks = parse(dict[str, Spec], read(path), where=str(path))
    for name in only:
        if name not in tasks:
            raise StudyError(f"--task: {unknown(name, tasks)}")
    return {name: spec for name, spec in tasks.items() if not only or name in only}
