"""The wheel alone: built, installed into a new environment, and used from an empty folder.

The environment sees the packages of this one, as `pip install` would have brought them.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import edit

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]

ROOT = Path(__file__).parents[2]
MOST_BYTES = 30 * 1000 * 1000
QUESTION = ("nano-llama", "--tasks", "niah_single_1", "--lengths", "128,256", "--samples", "4")
RESULTS = Path("results/measure-nano-llama")


def run(*words: object, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command, without a word of this checkout in its environment."""
    environment = {key: each for key, each in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        list(map(str, words)), cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def pip(*words: object, cwd: Path) -> None:
    """Run the pip of this environment, without an index."""
    run(sys.executable, "-m", "pip", *words, "--no-deps", "--no-index", "-q", cwd=cwd)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the files that version control knows or would take."""
    place = tmp_path_factory.mktemp("wheel")
    listed = run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).stdout.splitlines()
    for name in (each for each in listed if (ROOT / each).is_file()):
        (place / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, place / "source" / name)
    pip("wheel", "--no-build-isolation", "-w", place, place / "source", cwd=place)
    (built,) = place.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment with the wheel in it; nothing there can be written."""
    place = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", place / "venv", cwd=place)
    python = place / "venv/bin/python"
    inside = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(run(python, "-c", inside, cwd=place).stdout.strip())
    (site / "packages.pth").write_text("\n".join(_packages()))
    pip("--python", python, "install", "--ignore-installed", wheel, cwd=place)
    for path in (site / "needlework").rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return python


def _packages() -> Iterator[str]:
    """Where packages are here, without this checkout: the wheel must stand for it."""
    yield sysconfig.get_path("purelib")
    yield from (each for each in sys.path if each.endswith("site-packages"))


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A folder with nothing in it."""
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def test_it_is_small_and_has_no_path_twice(wheel: Path) -> None:
    assert wheel.stat().st_size < MOST_BYTES
    names = zipfile.ZipFile(wheel).namelist()
    assert len(set(names)) == len(names)
    assert "needlework/project/workflow/Snakefile" in names
    assert "needlework/project/resources/nano/llama/model.safetensors" in names
    assert not [name for name in names if "__pycache__" in name or name.endswith(".lock")]


def test_every_study_in_it_finds_the_small_models_there(wheel: Path) -> None:
    packed = zipfile.ZipFile(wheel)
    names = packed.namelist()
    studies = [name for name in names if re.search(r"project/config/[\w-]+\.yaml$", name)]
    named = {
        weights
        for study in studies
        for weights in re.findall(r"checkpoint: (resources/nano\S+)", packed.read(study).decode())
    }
    assert "resources/nano/llama" in named
    missing = [one for one in named if f"needlework/project/{one}/model.safetensors" not in names]
    assert not missing


def test_commands_find_what_they_need_in_an_empty_folder(python: Path, empty: Path) -> None:
    needlework = python.with_name("needlework")
    assert (
        "site-packages"
        in run(python, "-c", "import needlework; print(needlework.__file__)", cwd=empty).stdout
    )
    assert "nano-llama" in run(needlework, "doctor", cwd=empty).stdout
    assert "nano: " in run(needlework, "plan", cwd=empty).stdout
    tokenizer = ["--tokenizer", "resources/nano/tokenizer", "--material", "nano"]
    asked = ["--task", "vt", "--length", "128", "--samples", "1", "--seed", "1"]
    run(needlework, "dataset", *tokenizer, *asked, "--output", "vt.jsonl", cwd=empty)
    assert len((empty / "vt.jsonl").read_text().splitlines()) == 1


def test_a_model_is_measured_from_an_empty_folder_and_goes_on_after_ctrl_c(
    python: Path, empty: Path
) -> None:
    """Stopped as a terminal does, every process of the group at once; then the same command."""
    words = [str(python.with_name("needlework")), "measure", *QUESTION]
    first = subprocess.Popen(
        words,
        cwd=empty,
        start_new_session=True,
        # Tests that a shell started in the background, and their children, ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    until = time.monotonic() + 120
    while not list(empty.glob(f"{RESULTS}/data/*/*/*.jsonl")):
        assert time.monotonic() < until
        assert first.poll() is None, first.communicate()[0]
        time.sleep(0.1)
    os.killpg(first.pid, signal.SIGINT)
    told, _ = first.communicate(timeout=120)
    assert first.returncode == 130, told
    assert "Traceback" not in told
    assert f"stopped; to go on where it was: needlework measure {' '.join(_in_order())}" in told
    said = run(*words, cwd=empty).stdout
    assert "nano-llama reads reliably to " in said
    assert "next: needlework measure nano-llama --lengths " in said
    named = [line.split()[-1] for line in said.splitlines() if f" {RESULTS}/" in line]
    assert len(named) >= 5
    assert all((empty / name).is_file() for name in named)
    assert not (empty / "config").exists()


def _in_order() -> list[str]:
    """The question as its own command writes it."""
    model, tasks, names, lengths, values, samples, count = QUESTION
    return [model, lengths, values, samples, count, tasks, names]


def test_a_project_plans_a_table_with_a_model_and_a_task_of_its_own(
    python: Path, empty: Path
) -> None:
    """On this machine and on a cluster; a target of the packaged workflow, by its own name."""
    run(python.with_name("needlework"), "init", "mine", cwd=empty)
    project = empty / "mine"
    models = yaml.safe_load((ROOT / "config/models.yaml").read_text())["models"]
    own = {"models": {"own": models["nano-llama"] | {"label": "Own"}}}
    (project / "config/models.yaml").write_text(yaml.safe_dump(own))
    task = {"two": {"generator": "niah", "haystack": "repeat", "keys": 2, "tokens_to_generate": 5}}
    (project / "config/tasks.yaml").write_text(yaml.safe_dump({"nano": {"tasks": task}}))
    edit(project / "config/config.yaml", "[nano-llama, nano-mamba2]", "[own, nano-mamba2]")
    edit(project / "config/config.yaml", "ruler: {", "mine: {tasks: [two, vt], ")
    for words in ([], ["--profile", "slurm"]):
        asked = ["-n", "mine_two", *words]
        told = run(python, "-m", "snakemake", *asked, cwd=project)
        jobs = (told.stdout + told.stderr).split("Job stats:")[1].splitlines()
        counted = dict(line.split() for line in jobs[3:] if len(line.split()) == 2)
        assert counted["predict_part"] == "6"
        assert counted["dataset"] == "3"
        assert counted["mine_two"] == "1"
