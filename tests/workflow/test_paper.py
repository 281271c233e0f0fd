"""The paper's study from the first command to a table, with checkpoints of its eight formats from a
hub on this machine: locked and fetched, planned, and run on a cluster without a network.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from needlework.external import locks
from tests.hub_for_tests import TOKEN, Hub, needlework, serving
from tests.paper_for_tests import PAPER, repositories
from tests.workflow.conftest import ROOT, edit, planned
from tests.workflow.slurm_for_tests import cluster_project, finish, snakemake

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("slurm")]

STUDY = {
    "study": "tiny",
    "seed": 42,
    "samples": 1,
    "protocol": "released",
    "material": "english",
    "suites": {"ruler": {"lengths": [1024], "tasks": ["niah_single_2", "vt", "fwe"]}},
    "tables": [{"name": "mean", "suite": "ruler"}],
    "models": list(
        yaml.safe_load((ROOT / "config/paper.yaml").read_text(encoding="utf-8"))["models"]
    ),
}
"""The paper's models; of its tasks those whose questions the mirror has."""
FETCH = ("fetch", "--configfile", "config/config.yaml")


@pytest.fixture(scope="module")
def hub(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """The paper's eight checkpoints. Gemma's tokenizer is not ours to copy: another takes its place
    in Google's repositories."""
    shipped = locks.load(ROOT / locks.PATH).repositories
    commits = {name: entry.revision for name, entry in shipped.items()}
    tokenizer = shared / "mirror/tokenizers/gpt-neox-20b/tokenizer.json"
    hubs = repositories(
        tmp_path_factory.mktemp("hub"), commits, {"tokenizer.json": tokenizer.read_bytes()}
    )
    with serving(*hubs) as running:
        yield running


@pytest.fixture(scope="module")
def fetched(
    hub: Hub, shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, "subprocess.CompletedProcess[str]"]:
    """A clone after the first command of a user who has accepted Google's terms; what it said."""
    folder = cluster_project(tmp_path_factory.mktemp("paper"), STUDY)
    gemma = "resources/external/tokenizers/gemma/tokenizer.model"
    edit(folder / "config/models.yaml", gemma, "google/recurrentgemma-2b")
    mirror = str(shared / "mirror")
    done = needlework(folder, hub, *FETCH, HF_TOKEN=TOKEN, NEEDLEWORK_MIRROR=mirror)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_one_command_locks_and_fetches_it_all(
    fetched: "tuple[Path, subprocess.CompletedProcess[str]]", hub: Hub, shared: Path
) -> None:
    """Known commits stay, the others are the hub's; a second time nothing is asked."""
    folder, done = fetched
    assert done.stdout.count("locked ") == 9
    lock = (folder / locks.PATH).read_bytes()
    before = locks.load(ROOT / locks.PATH).repositories
    after = locks.load(folder / locks.PATH).repositories
    assert after.keys() == PAPER.keys()
    assert {name: after[name].revision for name in before} == {
        name: entry.revision for name, entry in before.items()
    }
    assert all(entry.checkpoints for entry in after.values())
    hub.asked.clear()
    again = needlework(folder, hub, *FETCH, "--offline")
    assert again.returncode == 0, again.stderr
    assert "locked" not in again.stdout
    assert hub.asked == []
    assert (folder / locks.PATH).read_bytes() == lock


def test_the_whole_paper_can_be_planned(
    fetched: "tuple[Path, subprocess.CompletedProcess[str]]",
) -> None:
    """What the mirror has not is still to be fetched: the two files of questions."""
    folder, _ = fetched
    jobs = planned(folder, "--profile", "slurm")
    assert (jobs["predict"], jobs["verify_model"], jobs["external"]) == (8 * (5 + 5), 8, 2)


@pytest.mark.slurm
@pytest.mark.usefixtures("state")
def test_it_runs_on_a_cluster_without_a_network(
    fetched: "tuple[Path, subprocess.CompletedProcess[str]]",
) -> None:
    """Every cell in a job of its own, on whichever node; the table has all eight."""
    folder, _ = fetched
    finish(snakemake(folder), seconds=1800)
    cells = list((folder / "results/tiny/predictions").glob("*/ruler/*.jsonl"))
    assert len(cells) == 8
    assert all(len(cell.read_text(encoding="utf-8").splitlines()) == 3 for cell in cells)
    notes = (folder / "notes").read_text(encoding="utf-8").splitlines()
    assert len(notes) == len(cells)
    assert {note.split()[1] for note in notes} == {"HF_HUB_OFFLINE=1"}
    table = (folder / "results/tiny/tables/mean.md").read_text(encoding="utf-8")
    shown = [row.split("|")[1].strip(" ‡‖") for row in table.splitlines() if row.startswith("| ")]
    assert shown[1:] == ["Mamba2", "M2A", "TPP", "RG", "SL", "RWKV", "RG-IT", "SL-IT"]
