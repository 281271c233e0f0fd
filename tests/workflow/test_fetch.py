"""A study with a checkpoint on the hub: fetched first, then computed without a network."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub_for_tests import COMMIT, Hub, needlework, serving
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


def use_hub(project: Path, revision: str = COMMIT) -> None:
    """Let the study read one of its models, and a tokenizer, from the hub."""
    models = project / "config/models.yaml"
    source = f"{NAME}\n    revision: {revision}"
    edit(models, "checkpoint: resources/nano/llama", f"checkpoint: {source}")
    edit(models, "  nano:\n", f"  tiny:\n    source: {source}\n  nano:\n")
    text = models.read_text()
    start = text.index("nano-llama:")
    models.write_text(text[:start] + text[start:].replace("tokenizer: nano", "tokenizer: tiny", 1))


def test_a_missing_checkpoint_is_planned_before_the_cells(project: Path) -> None:
    """`unpinned` too, so that a plan can be read before anybody has looked it up."""
    assert "external" not in planned(project)
    use_hub(project, "unpinned")
    assert planned(project)["external"] == 2
    done = run_snakemake(project, "-c1", "fetch")
    assert done.returncode == 2
    assert f"needlework: {NAME}: unpinned; `needlework pin {NAME}`" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_was_fetched_is_computed_without_a_network(project: Path, hub: Hub) -> None:
    use_hub(project)
    done = run_snakemake(project, "-c1", "fetch")
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
