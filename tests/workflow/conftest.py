"""A copy of the project in which every output of a small study is marked as made; and the Slurm of
this machine.
"""

import compileall
import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.locks_for_tests import lock_all
from tests.workflow.snakemake_for_tests import run_snakemake

ROOT = Path(__file__).parents[2]
__all__ = ["run_snakemake"]
PARTS = ("Snakefile", "workflow", "config", "envs", "profiles", "reports", "resources", "src")
MODELS = ("nano-mamba2", "nano-llama")
Snakemake = Callable[..., subprocess.CompletedProcess[str]]


def planned(folder: Path, *words: str) -> dict[str, int]:
    """Jobs by rule that a dry run would start."""
    done = run_snakemake(folder, "-n", *words)
    assert done.returncode == 0, done.stderr
    report = done.stdout + done.stderr
    if "Nothing to be done" in report:
        return {}
    table = report.split("Job stats:")[1].split("\n\n")[0].splitlines()[3:]
    rows = (line.split() for line in table)
    return {rule: int(jobs) for rule, jobs in rows if rule not in {"total", "all"}}


def edit(path: Path, old: str, new: str) -> None:
    """Replace text in a file that has it."""
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path} has no {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def copy_project(folder: Path) -> Path:
    """Copy to `folder` what a run needs, and return it; its jobs find the package compiled."""
    compileall.compile_dir(ROOT / "src", quiet=2)
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            half_written = shutil.ignore_patterns("*.cpython-*.*.*")
            shutil.copytree(source, folder / part, ignore=half_written)
        else:
            shutil.copy2(source, folder / part)
    return folder


def small_study(config: Path) -> None:
    """Two models, three lengths in all."""
    study = yaml.safe_load(config.read_text(encoding="utf-8"))
    study["models"] = list(MODELS)
    study["suites"] = {"ruler": {"lengths": [128, 256]}, "depth": {"lengths": [256, 512]}}
    config.write_text(yaml.safe_dump(study), encoding="utf-8")


def give_weights(folder: Path, model: str) -> None:
    """Let a nano model look trained."""
    weights = folder / "resources/nano" / model.removeprefix("nano-")
    weights.mkdir(exist_ok=True)
    for name in ("config.json", "model.safetensors"):
        (weights / name).touch()


def outputs(folder: Path) -> list[Path]:
    """Every file that the small study makes."""
    summary = run_snakemake(folder, "--summary").stdout.splitlines()
    return [folder / line.split("\t")[0] for line in summary if line.startswith("results/")]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project after a run of the small study, its outputs empty and all models locked; copy it
    before a change."""
    folder = copy_project(tmp_path_factory.mktemp("made"))
    lock_all(folder / "config")
    small_study(folder / "config/config.yaml")
    for model in MODELS:
        give_weights(folder, model)
    for path in outputs(folder):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    done = run_snakemake(folder, "--touch", "--forceall")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    """A copy of the project with every output made, to change at will."""
    return shutil.copytree(made, tmp_path / "project", dirs_exist_ok=True)


def running_slurm() -> Path | None:
    """The folder of the running Slurm."""
    configuration = Path("/etc/slurm/slurm.conf")
    if configuration.is_symlink() and shutil.which("sinfo"):
        folder = configuration.resolve().parent
        asked = subprocess.run(["sinfo", "-h"], capture_output=True, timeout=30, check=False)
        if asked.returncode == 0 and (folder / "run/slurmdbd.pid").exists():
            return folder
    return None


@pytest.fixture(scope="module")
def state() -> Iterator[Path]:
    """The folder of the running Slurm, for this process alone; else a skip that says why, and in CI
    a failure.

    Two workers once had the tests of this file between them: the node that one of them killed took
    the other's jobs with it.
    """
    folder = running_slurm()
    if folder is None:
        reason = "no Slurm: slurm_up.sh STATE --nodes 3 --mem 6000 --with-dbd of the reference"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with (folder / "tests.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pytest.fail("another process runs these tests on this Slurm; they kill its nodes")
        yield folder
