"""What `config/cluster.yaml` asks of Slurm, and what is made of Slurm's answers."""

import asyncio
import logging
from pathlib import Path

import pytest
import snakemake_executor_plugin_slurm as executor
import yaml

from needlework.cluster import slurm
from needlework.cluster.slurm import Cluster, SlurmError, read_cluster
from needlework.errors import ResourceError, StudyError

ROOT = Path(__file__).parents[3]


def test_the_shipped_file_names_every_key_and_an_a100_with_80_gb() -> None:
    path = ROOT / "config/cluster.yaml"
    assert set(yaml.safe_load(path.read_text(encoding="utf-8"))) == set(Cluster.model_fields)
    words = read_cluster(path).words()
    assert (words["constraint"], words["gpu"], words["gpu_model"]) == ("ampere&80gb", 1, "a100")


def test_what_is_empty_is_not_passed() -> None:
    words = {name: value for name, value in Cluster().words().items() if value is not None}
    assert words == {"gpu": 1, "cpus_per_task": 1, "slurm_extra": "--signal=TERM@90"}


def test_a_cell_on_cpus_asks_for_no_gpu() -> None:
    words = Cluster(gpus=0, gpu_model="a100").words()
    assert words["gpu"] is words["gpu_model"] is None


def test_every_try_has_more_time_and_memory() -> None:
    assert [Cluster().minutes(30, attempt) for attempt in (1, 2, 3)] == [30, 60, 90]
    assert [Cluster(memory=500).megabytes(4000, attempt) for attempt in (1, 2)] == [500, 1000]


def test_no_try_is_longer_than_the_partition_allows() -> None:
    """Slurm would refuse the job, or leave it pending for ever."""
    assert [Cluster(longest=70).minutes(30, attempt) for attempt in (1, 2, 3)] == [30, 60, 70]


def test_an_account_of_digits_is_a_name() -> None:
    assert Cluster.model_validate({"account": 12345}).words()["slurm_account"] == "12345"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("partitoin: gpu", "did you mean `partition`"),
        ("partition: gpu; rm -rf ~", "partition"),
        ("gpus: 2", "less than or equal to 1"),
        ("extra: --exclusive --mem=9G", "--mem=9G is set by a key of this file"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StudyError, match=told) as raised:
        read_cluster(path)
    assert len(str(raised.value).splitlines()) == 1


def test_without_the_file_a_cell_asks_for_a_gpu_alone(tmp_path: Path) -> None:
    assert read_cluster(tmp_path / "cluster.yaml") == Cluster()


def command_of_slurm(folder: Path, command: str, script: str) -> None:
    """A command of Slurm that answers like this."""
    path = folder / command
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder where commands are searched first."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def test_sacct_without_a_database_is_not_asked_for_states(commands: Path) -> None:
    command_of_slurm(commands, "sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    assert slurm.status_command() == "squeue"
    command_of_slurm(commands, "sacct", "exit 0")
    assert slurm.status_command() == "sacct"


def states(answer: object = None, *, times: int = 1) -> object:
    """What the executor's question gives once the profile was read, which asks a query of its own
    or, in its place, one with such an answer.
    """

    async def other(command: str, logger: object) -> object:
        return answer

    with pytest.MonkeyPatch.context() as patch:
        asked = executor.query_job_status if answer is None else other
        patch.setattr(executor, "query_job_status", getattr(asked, "__wrapped__", asked))
        for _ in range(times):
            slurm.status_command()
        return asyncio.run(executor.query_job_status("sacct", logging.getLogger()))


@pytest.mark.parametrize("times", [1, 2])
def test_a_cancelled_job_is_seen(commands: Path, times: int) -> None:
    """Snakemake waited for ever for a job that its user had cancelled."""
    command_of_slurm(commands, "sacct", "echo '5|CANCELLED by 1000'; echo '6|NODE_FAIL'")
    found, _ = states(times=times)  # type: ignore[misc]
    assert found == {"5": "CANCELLED", "6": "NODE_FAIL"}


@pytest.mark.parametrize(
    "answer", [(None, None), {"5": "CANCELLED by 1000"}, ({"5": 3}, 0.1), ({"5": "RUNNING"}, 0.1)]
)
def test_what_an_executor_answers_otherwise_is_left_as_it_is(
    commands: Path, answer: object
) -> None:
    command_of_slurm(commands, "sacct", "true")
    assert states(answer) == answer


def test_an_executor_that_asks_otherwise_is_left_as_it_is(
    commands: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command_of_slurm(commands, "sacct", "true")
    for asked in (print, None):
        monkeypatch.setattr(executor, "query_job_status", asked)
        assert slurm.status_command() == "sacct"
        assert executor.query_job_status is asked
    monkeypatch.delattr(executor, "query_job_status")
    assert slurm.status_command() == "sacct"
    assert not hasattr(executor, "query_job_status")


def test_jobs_that_a_killed_run_left_are_named(commands: Path) -> None:
    rows = ["11 needlework_ab /scratch/study", "12 other /scratch/study", "13 needlework_cd /else"]
    command_of_slurm(commands, "squeue", "\n".join(f"echo '{row}'" for row in rows))
    with pytest.raises(SlurmError, match=r"queue of /scratch/study: 11; wait .* `scancel 11`"):
        slurm.check_queue(Path("/scratch/study"))
    slurm.check_queue(Path("/scratch"))


def test_what_is_not_fetched_is_told_with_the_way_to_get_it() -> None:
    with pytest.raises(
        ResourceError, match=r"a, b, c and 1 more: .*needlework fetch --configfile FILE"
    ):
        slurm.check_fetched(["a", "b", "c", "d"])
    slurm.check_fetched([])
