"""A study with a checkpoint on the hub: fetched first, then computed without a network."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from needlework.external import locks
from tests.hub_for_tests import COMMIT, Hub, needlework, serving
from tests.locks_for_tests import locked
from tests.workflow.conftest import ROOT, edit, planned, run_snakemake

NAME = "me/tiny"
FETCHED = (
    f"resources/external/checkpoints/me--tiny/{COMMIT}/manifest.json",
    f"resources/external/tokenizers/me--tiny/{COMMIT}/manifest.json",
)
TASK = {"generator": "niah", "haystack": "repeat", "tokens_to_generate": 8}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The nano llama with its tokenizer, as a repository."""
    folders = (ROOT / "resources/nano/llama", ROOT / "resources/nano/tokenizer")
    files = {path.name: path.read_bytes() for folder in folders for path in folder.iterdir()}
    with serving(Hub(NAME, files)) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


def use_hub(project: Path, revision: str = "") -> None:
    """Let the study read one of its models, and a tokenizer, from the hub."""
    models = project / "config/models.yaml"
    source = f"{NAME}\n    revision: '{revision}'" if revision else NAME
    edit(models, "checkpoint: resources/nano/llama", f"checkpoint: {source}")
    edit(models, "  nano:\n", f"  tiny:\n    source: {source}\n  nano:\n")
    text = models.read_text()
    start = text.index("nano-llama:")
    models.write_text(text[:start] + text[start:].replace("tokenizer: nano", "tokenizer: tiny", 1))


def refusal(project: Path, *words: str) -> str:
    """The only line that a run of Snakemake which does not begin says of us."""
    done = run_snakemake(project, *words)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("needlework: ")]
    return line


def test_without_a_lock_every_target_names_the_command(project: Path) -> None:
    """Dry runs too: they would plan cells that cannot be computed."""
    assert "external" not in planned(project)
    use_hub(project)
    way_out = "run `needlework fetch --configfile config/config.yaml` where there is a network"
    for words in (("-n",), ("-c1",), ("-n", "table_2"), ("-n", "fetch")):
        line = refusal(project, *words)
        assert line.startswith(f"needlework: config/models.lock.yaml does not hold {NAME}; ")
        assert way_out in line


def test_a_lock_that_disagrees_with_the_models_is_refused(project: Path, hub: Hub) -> None:
    """`revision` wins: once it is locked as well, the study reads that commit."""
    locks.change(project / locks.PATH, lambda _: {NAME: locked("1" * 40, "checkpoints")})
    use_hub(project, COMMIT)
    line = refusal(project, "-n")
    assert f"has {NAME} at {'1' * 40}, but models.yaml says `revision: {COMMIT}`" in line
    assert "remove that, or lock it as well; run `needlework fetch --configfile" in line
    done = needlework(project, hub, "fetch", "--configfile", "config/config.yaml")
    assert done.returncode == 0, done.stderr
    assert all((project / path).is_file() for path in FETCHED)
    assert locks.load(project / locks.PATH).repositories.keys() >= {NAME, f"{NAME}@{COMMIT}"}
    assert planned(project)["predict"] == 4


def test_what_was_fetched_is_computed_without_a_network(project: Path, hub: Hub) -> None:
    use_hub(project)
    done = needlework(project, hub, "fetch", "--configfile", "config/config.yaml")
    assert done.returncode == 0, done.stderr
    assert all((project / path).is_file() for path in FETCHED)
    assert "external" not in planned(project)
    hub.asked.clear()

    # A job of the workflow does not ask, even where there is a hub.
    made = "results/nano/data/tiny-base/128/niah_single_1.jsonl"
    done = run_snakemake(project, "-c1", made)
    assert done.returncode == 0, done.stderr
    source = ("--tokenizer", NAME, "--tokenizer-revision", COMMIT)
    (project / "tasks.json").write_text(json.dumps({"niah_single_1": TASK}))
    done = needlework(
        project,
        hub,
        *("predict", "predictions.jsonl", made, "--checkpoint", NAME, "--revision", COMMIT),
        *(*source, "--tasks", "tasks.json"),
        HF_HUB_OFFLINE="1",
    )
    assert done.returncode == 0, done.stderr
    assert len((project / "predictions.jsonl").read_text().splitlines()) == 50
    assert hub.asked == []

    # Where a file has got lost since, a job of the workflow says so instead of downloading it.
    (project / FETCHED[1]).with_name("tokenizer.json").unlink()
    done = run_snakemake(project, "-c1", made, "--forcerun", "dataset")
    assert done.returncode != 0
    assert "is not what was fetched; get it again with `needlework fetch tokeni" in done.stderr
    assert hub.asked == []


def test_what_was_fetched_under_another_lock_is_refused(project: Path, hub: Hub) -> None:
    """A colleague's lock of the same commit has other bytes; a rule would not look again."""
    use_hub(project)
    command = ("fetch", "--configfile", "config/config.yaml")
    assert needlework(project, hub, *command).returncode == 0
    theirs = locked(COMMIT, "checkpoints", "tokenizers")
    locks.change(project / locks.PATH, lambda _: {NAME: theirs})
    assert f"{FETCHED[0]} lists other files than config/models.lock.yaml" in refusal(project, "-n")
    done = needlework(project, hub, *command)
    assert done.returncode == 2
    assert "config.json sends more than 2 bytes, all it may have" in done.stderr


def test_what_is_locked_is_fetched_by_a_run(project: Path, hub: Hub) -> None:
    """After a clone with the lock in it; of the hub nothing is asked but the files."""
    use_hub(project)
    done = needlework(project, hub, "fetch", "--configfile", "config/config.yaml")
    assert done.returncode == 0, done.stderr
    shutil.rmtree(project / "resources/external")
    hub.asked.clear()
    assert planned(project)["external"] == 2
    done = run_snakemake(project, "-c1", "fetch")
    assert done.returncode == 0, done.stderr
    assert all((project / path).is_file() for path in FETCHED)
    assert not [path for _, path, _ in hub.asked if path.startswith("/api/models/")]
