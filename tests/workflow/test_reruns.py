"""What a change of a commit, of the number of shards, or of our code runs again."""

import os
from pathlib import Path

import pytest

from needlework.external import locks
from needlework.external.locks import Repository
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


def append(project: Path, module: str, text: str) -> None:
    path = project / f"src/needlework/{module}.py"
    assert path.is_file(), "a new file would change nothing, whatever the test is about"
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def test_a_comment_runs_nothing_again(project: Path) -> None:
    """In a mixer, the engine, the scores and the tables: no rule has heard of it."""
    for module in (
        "models/attention",
        "engine/decode",
        "scores/cells",
        "report/layout",
        "nano/facts",
    ):
        append(project, module, "\n# One more word.\n")
    assert planned(project) == {}


@pytest.mark.parametrize(("mixer", "models"), [("attention", 1), ("ssd", 1), ("rwkv6", 0)])
def test_the_code_of_a_mixer_asks_the_models_that_have_it(
    project: Path, mixer: str, models: int
) -> None:
    append(project, f"models/{mixer}", "\nONE_MORE = 1\n")
    jobs = planned(project)
    wanted = {"verify_model": models, "predict": 4 * models, "dataset": 0}
    assert {name: jobs.get(name, 0) for name in wanted} == wanted


def test_a_record_for_another_generator_asks_no_model_again(project: Path) -> None:
    """Every cell once loaded its weights to find all of its answers in the journal."""
    append(project, "tasks/specs", "\n\nclass OneMore(Closed):\n    number: int = 1\n")
    jobs = planned(project)
    assert not jobs.keys() & {"dataset", "verify_model", "predict"}


def test_another_metric_asks_the_models_of_its_tasks(project: Path) -> None:
    """It tells when an answer is decided, and stands in no file."""
    specs = project / "src/needlework/tasks/specs.py"
    edit(specs, 'metric: ClassVar[Metric] = "any"', 'metric: ClassVar[Metric] = "all"')
    jobs = planned(project)
    assert {name: jobs.get(name, 0) for name in ("dataset", "verify_model", "predict")} == {
        "dataset": 0,
        "verify_model": 0,
        "predict": 4,
    }


@pytest.mark.parametrize("remote_code", [True, False])
def test_code_beside_the_weights_is_an_input_where_it_is_run(
    project: Path, remote_code: bool
) -> None:
    """`modeling_x.py` was edited, and Snakemake had nothing to do."""
    code = project / "resources/nano/llama/modeling_x.py"
    code.write_text("x = 1")
    if remote_code:
        edit(
            project / "config/models.yaml",
            "checkpoint: resources/nano/llama\n",
            "checkpoint: resources/nano/llama\n    backend: transformers\n"
            "    trust_remote_code: true\n",
        )
        done = run_snakemake(project, "--touch", "--forceall")
        assert done.returncode == 0, done.stderr
    assert planned(project) == {}
    code.write_text("x = 2")
    later = code.stat().st_mtime + 60
    os.utime(code, (later, later))
    jobs = planned(project)
    wanted = {"verify_model": 1, "predict": 4} if remote_code else {}
    assert {name: jobs.get(name, 0) for name in ("verify_model", "predict") if jobs} == wanted
