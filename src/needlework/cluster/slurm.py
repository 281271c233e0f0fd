"""Slurm: what `config/cluster.yaml` asks for, time and memory of a job, the state of the queue."""

import functools
import getpass
import inspect
import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PositiveInt, StringConstraints, field_validator

from needlework.errors import NeedleworkError, ResourceError
from needlework.parsing import Closed, as_name, parse, read

JOB_NAME = "needlework"
"""Every job's name begins with it (slurm-jobname-prefix in profiles/slurm)."""
WARNING = "--signal=TERM@90"
"""SIGTERM this many seconds before the time limit: Slurm may send it a minute earlier than asked,
and a cell needs up to half a minute to finish what it has begun."""
OURS = (
    "-A --account -C --constraint -c --cpus-per-task -D --chdir -G --gpus --gres -J --job-name "
    "--mem -N --nodes -n --ntasks -o --output -p --partition -q --qos --requeue --no-requeue "
    "--signal -t --time"
).split()
"""Words of sbatch that the profile or a key of the file stands for."""

Word = Annotated[
    str,
    BeforeValidator(as_name),
    StringConstraints(pattern=r"^[A-Za-z0-9_.,:&|*()\[\]!+-]+$"),
]
TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<parts>\d+(?::\d+){0,2})")
CANCELLED = re.compile(r"^CANCELLED by .*")
UNLIMITED = ("infinite", "UNLIMITED", "unlimited")
"""What Slurm calls a partition without a limit."""


class SlurmError(NeedleworkError):
    """A queue that another run still fills."""


def in_minutes(value: object) -> object:
    """A time as Slurm writes it, in whole minutes; what is no text is left as it is.

    Raises:
        ValueError: it is no time.
    """
    if not isinstance(value, str):
        return value
    if value in UNLIMITED:
        return None
    found = TIME.fullmatch(value)
    if found is None or value.isdigit():
        raise ValueError("must be minutes, or a time as Slurm writes it: 48:00:00, 2-00:00:00")
    parts = [int(part) for part in found["parts"].split(":")]
    if found["days"] is not None:  # Behind days the first part is hours, else it depends.
        hours, minutes, seconds = [*parts, 0, 0][:3]
    else:
        hours, minutes, seconds = parts if len(parts) == 3 else [0, *parts]
    total = (int(found["days"] or 0) * 24 + hours) * 60 + minutes
    if not total:
        raise ValueError(f"{seconds} seconds are no minute; give a job at least one")
    return total


class Cluster(Closed):
    """What every cell asks of Slurm; an empty value is not passed on."""

    partition: Word | None = Field(None, description="sbatch --partition")
    account: Word | None = Field(None, description="sbatch --account")
    qos: Word | None = Field(None, description="sbatch --qos")
    constraint: Word | None = Field(None, description="sbatch --constraint")
    gpus: int = Field(1, ge=0, le=1, description="GPUs of a cell: 1, or 0 to compute on CPUs.")
    gpu_model: Word | None = Field(None, description="The type in --gpus=TYPE:1")
    cpus: PositiveInt = Field(1, description="sbatch --cpus-per-task")
    runtime: Annotated[PositiveInt | None, BeforeValidator(in_minutes)] = Field(
        None, description="Minutes of a cell, or as Slurm writes a time; else by its cost."
    )
    memory: PositiveInt | None = Field(None, description="Megabytes of a cell; else by its cost.")
    longest: Annotated[PositiveInt | None, BeforeValidator(in_minutes)] = Field(
        None, description="Minutes the partition allows a job, or as `sinfo` writes a time."
    )
    extra: str | None = Field(None, description="Other words for sbatch.")

    @field_validator("extra")
    @classmethod
    def _words_of_others(cls, value: str | None) -> str | None:
        try:
            words = shlex.split(value or "")
        except ValueError as error:
            raise ValueError(f"{error}; close the quotes, as in a shell") from error
        taken = [word for word in words if word.partition("=")[0] in OURS]
        if taken:
            raise ValueError(
                f"{' '.join(taken)} is set by a key of this file or by profiles/slurm/config.yaml; "
                "remove it here"
            )
        return value

    def words(self) -> dict[str, str | int | None]:
        """Resources as the executor for Slurm names them; it leaves out what is None."""
        return {
            "slurm_partition": self.partition,
            "slurm_account": self.account,
            "qos": self.qos,
            "constraint": self.constraint,
            "gpu": self.gpus or None,
            "gpu_model": self.gpu_model if self.gpus else None,
            "cpus_per_task": self.cpus,
            # The executor puts it into a command line as it is.
            "slurm_extra": shlex.join([WARNING, *shlex.split(self.extra or "")]),
        }

    def minutes(self, cost: int, attempt: int) -> int:
        """The time limit of a try, which grows with every try up to what the partition allows."""
        wanted = (self.runtime or cost) * attempt
        return min(wanted, self.longest) if self.longest else wanted

    def megabytes(self, cost: int, attempt: int) -> int:
        """The memory of a try, which grows with every try."""
        return (self.memory or cost) * attempt


def read_cluster(path: Path) -> Cluster:
    """The cluster in a file; where there is none, one that asks for a GPU and nothing else.

    Raises:
        StudyError: one line per mistake.
    """
    if not path.exists():
        return Cluster()
    return parse(Cluster, read(path) or {}, where=str(path))


def status_command() -> str:
    """The command for the state of jobs: `sacct`, or `squeue` where sacct has no database.

    The profile asks. With `sacct` alone a run on a cluster without accounting would wait for ever.
    """
    if _answer("sacct", "--noheader", "--allocations") is None:
        return "squeue"
    _see_cancelled_jobs()
    return "sacct"


def _see_cancelled_jobs() -> None:
    """Let Snakemake's executor know the state of a job that somebody cancelled.

    sacct calls it `CANCELLED by 1000`. The executor compares it with CANCELLED, and waits for such
    a job for ever (2.8.0, the newest when this was written). An executor that asks in another way
    is left as it is, and what it answers in another form is passed on as it is.
    """
    import snakemake_executor_plugin_slurm as executor

    asked = getattr(executor, "query_job_status", None)
    if not inspect.iscoroutinefunction(asked) or hasattr(asked, "__wrapped__"):
        return

    @functools.wraps(asked)
    async def query_job_status(*words: Any, **more: Any) -> Any:  # noqa: ANN401 - as it has them
        found = await asked(*words, **more)
        match found:
            case (dict() as states, seconds):
                return {job: _without_name(state) for job, state in states.items()}, seconds
        return found

    executor.query_job_status = query_job_status


def _without_name(state: Any) -> Any:  # noqa: ANN401
    """A state without whoever brought it about: CANCELLED."""
    return CANCELLED.sub("CANCELLED", state) if isinstance(state, str) else state


def check_queue(folder: Path) -> None:
    """Accept a queue without jobs of this workflow in this folder.

    A Snakemake that is killed cannot cancel its jobs; the next one would submit them again.

    Raises:
        SlurmError: an earlier run left jobs behind; names them and how to end them.
    """
    queue = _answer("squeue", "--noheader", "--user", getpass.getuser(), "--format", "%i %j %Z")
    rows = [row.split(maxsplit=2) for row in (queue or "").splitlines()]
    # A job whose folder nobody tells is none of this folder.
    whole = [row for row in rows if len(row) == 3]
    left = [
        job for job, name, place in whole if name.startswith(JOB_NAME) and Path(place) == folder
    ]
    if left:
        raise SlurmError(
            f"an earlier run left jobs in the queue of {folder}: {', '.join(left)}; wait for them, "
            f"or end them with `scancel {' '.join(left)}`, then run again"
        )


def check_fetched(missing: Sequence[str]) -> None:
    """Accept that no external file is missing.

    Raises:
        ResourceError: some are; says how to get them.
    """
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise ResourceError(
            f"{', '.join(map(str, missing[:3]))}{more}: not fetched yet, and compute nodes have no "
            "network; run `needlework fetch --configfile FILE` here first"
        )


def _answer(*command: str) -> str | None:
    """What a command of Slurm prints; None where it fails or is not installed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
