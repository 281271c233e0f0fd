"""What paths on the command line must be, and the exit code of a job that was stopped."""

from pathlib import Path

import click

EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)
EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)

EXIT_STOPPED = 75
"""EX_TEMPFAIL of sysexits.h: stopped from outside; the same command continues."""
