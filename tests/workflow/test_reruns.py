"""What a change of a hub model's commit, or of the number of shards, runs again."""

from pathlib import Path

import pytest

from needlework import locks
from needlework.locks import Repository
from tests.locks_for_tests import fetched, locked
from tests.workflow.conftest import edit, planned, run_snakemake

FIRST, SECOND = "1" * 40, "2" * 40
HUB = "me/llama"


@pytest.fixture
def hub(project: Path) -> Path:
    """A finished study, one of whose models is a repository of the hub."""
    edit(
        project / "config/models.yaml", "checkpoint: resources/nano/llama\n", f"checkpoint: {HUB}\n"
    )
    entry = locked(FIRST, "checkpoints")
    locks.change(project / locks.PATH, lambda _: {HUB: entry})
    fetched(project / "resources/external", Repository("checkpoints", HUB, None), entry)
    done = run_snakemake(project, "--touch", "--forceall")
    assert done.returncode == 0, done.stderr
    assert planned(project) == {}
    return project


def test_a_new_commit_is_fetched_verified_and_asked_alone(hub: Path) -> None:
    """The other model's cells stay, and so does every dataset."""
    locks.change(hub / locks.PATH, lambda _: {HUB: locked(SECOND, "checkpoints")})
    jobs = planned(hub)
    wanted = {"external": 1, "verify_model": 1, "predict": 4, "score": 4, "collect": 1}
    assert {name: jobs.get(name, 0) for name in (*wanted, "dataset")} == wanted | {"dataset": 0}


def test_shards_leave_datasets_and_checkpoints_alone(project: Path) -> None:
    edit(project / "config/config.yaml", "samples: 50", "samples: 50\nshards: 2")
    jobs = planned(project)
    wanted = {"predict_shard": 16, "merge": 8, "score": 8, "collect": 1}
    unchanged = dict.fromkeys(("dataset", "verify_model", "plan", "predict"), 0)
    assert {name: jobs.get(name, 0) for name in wanted | unchanged} == wanted | unchanged
