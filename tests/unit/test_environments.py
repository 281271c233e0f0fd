"""Environments agree with one another, resolve, and bring the torch that a machine can use."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from envs.nvcc import kept

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NEEDED = {canonicalize_name(Requirement(each).name) for each in PROJECT["dependencies"]}
KERNELS = {"causal-conv1d", "einops", "fla-core", "mamba-ssm"}
"""What the environment for GPUs has beside the package's own needs; einops is imported by two."""
TORCH = "2.13.0"
OUT_OF_REACH = ("ConnectionError", "NewConnectionError", "No matching distribution found for pip")


def parsed(lines: Iterable[str]) -> dict[str, Requirement]:
    requirements = [Requirement(line) for line in lines if not line.startswith("-")]
    return {canonicalize_name(each.name): each for each in requirements}


def pip_part(name: str) -> list[str]:
    """The lines that conda hands to pip."""
    (lines,) = (
        each["pip"]
        for each in yaml.safe_load((ROOT / "envs" / name).read_text())["dependencies"]
        if isinstance(each, dict)
    )
    return lines


def pinned(lines: Iterable[str]) -> dict[str, Version]:
    """Versions by package; nothing else than exact ones is let through."""
    found = {}
    for name, requirement in parsed(lines).items():
        (only,) = requirement.specifier
        assert only.operator == "==", requirement
        found[name] = Version(only.version)
    return found


CONSTRAINTS = pinned((ROOT / "constraints.txt").read_text().split())
ENVIRONMENTS = {name: pinned(pip_part(name)) for name in ("cpu.yaml", "cuda.yaml")}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_same_package_has_the_same_version_everywhere(name: str) -> None:
    """`packaging` was 26.0 in one file and 25.0 in another; the first could not be installed."""
    both = ENVIRONMENTS[name].keys() & CONSTRAINTS.keys() - {"torch"}
    assert {each: ENVIRONMENTS[name][each] for each in both} == {
        each: CONSTRAINTS[each] for each in both
    }


def test_torch_differs_in_what_it_is_built_for() -> None:
    assert str(CONSTRAINTS["torch"]) == TORCH
    assert str(ENVIRONMENTS["cpu.yaml"]["torch"]) == f"{TORCH}+cpu"
    assert str(ENVIRONMENTS["cuda.yaml"]["torch"]) == "2.10.0"


def test_every_environment_has_all_that_the_package_needs() -> None:
    assert CONSTRAINTS.keys() >= NEEDED
    assert ENVIRONMENTS["cpu.yaml"].keys() == NEEDED
    assert ENVIRONMENTS["cuda.yaml"].keys() == NEEDED | KERNELS


def test_the_wheels_of_kernels_are_built_for_the_torch_beside_them() -> None:
    cuda = ENVIRONMENTS["cuda.yaml"]
    built = f"cu.12.8.torch.{cuda['torch'].major}.{cuda['torch'].minor}"
    assert {cuda[each].local for each in ("causal-conv1d", "mamba-ssm")} == {built}
    assert "--extra-index-url https://wheels.astral.sh/simple/cu128/" in pip_part("cuda.yaml")


def test_ranges_hold_the_exact_versions_and_forbid_no_other_torch() -> None:
    """`torch==2.13.0` in the package forbade the very torch of the environment for GPUs."""
    optional = PROJECT["optional-dependencies"]
    assert optional.keys() == {"dev"}
    ranges = parsed(PROJECT["dependencies"])
    for name, requirement in (ranges | parsed(optional["dev"])).items():
        assert requirement.specifier.contains(CONSTRAINTS[name].public), requirement
    for environment in ENVIRONMENTS.values():
        for name in NEEDED:
            assert ranges[name].specifier.contains(environment[name].public)
    exact = {name for name, each in ranges.items() if "==" in str(each.specifier)}
    assert exact == {"wonderwords"}


def test_the_way_from_source_has_the_same_versions() -> None:
    text = (ROOT / "Makefile").read_text()
    recipe = text[text.index("env-cuda-source:") : text.index("\nclean:")]
    built = dict(re.findall(r"([a-z0-9-]+)==([0-9a-z.]+)", recipe))
    assert built.keys() >= KERNELS
    for name in KERNELS:
        assert built[name] == ENVIRONMENTS["cuda.yaml"][name].public


def test_nothing_that_is_built_asks_github_for_a_wheel_first() -> None:
    """Without a network setup.py of these ended in a traceback, before it had built anything."""
    recipe = (ROOT / "Makefile").read_text()
    source = recipe[recipe.index("env-cuda-source:") : recipe.index("\nclean:")]
    kernels = recipe[recipe.index("$(KERNELS)/ready:") : recipe.index("\nbench-data:")]
    tested = (ROOT / "envs/kernels.txt").read_text()
    names = {
        "causal-conv1d": "CAUSAL_CONV1D",
        "flash-attn": "FLASH_ATTENTION",
        "mamba-ssm": "MAMBA",
    }
    for text, listed in ((source, source), (kernels, tested)):
        built = [name for name in names if f"{name}==" in listed]
        assert len(built) >= 2
        for name in built:
            assert f"{names[name]}_FORCE_BUILD=TRUE" in text


def test_the_environment_for_gpus_has_the_compiler_that_triton_needs() -> None:
    """Without one every kernel in Triton fails at its first launch, on the node where it runs."""
    content = yaml.safe_load((ROOT / "envs/cuda.yaml").read_text())
    assert "c-compiler" in content["dependencies"]


def test_the_compiler_is_asked_for_two_architectures_alone() -> None:
    """One binary for A100 and H100; without the second an H100 has no kernel image."""
    assert re.search(r"^ARCHITECTURES \?= 80 90$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    asked = ["-O3", "-gencode", "arch=compute_75,code=sm_75", "-gencode"]
    asked += ["arch=compute_80,code=sm_80", "-c", "a.cu", "-gencode", "arch=compute_90,code=sm_90"]
    left = [each for each in kept(asked, ["80", "90"]) if "arch" in each]
    assert left == ["arch=compute_80,code=sm_80", "arch=compute_90,code=sm_90"]
    assert kept(asked, []) == ["-O3", "-c", "a.cu"]


def container_files(folder: Path) -> Path:
    """The root of the project as the container has it."""
    text = (ROOT / "envs/needlework.def").read_text()
    section = text[text.index("%files") : text.index("%post")]
    for line in section.splitlines()[1:]:
        if line.strip():
            source, target = line.split()
            there = folder / Path(target).relative_to("/")
            there.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            copy(ROOT / source, there)
    return folder / "opt/needlework"


def test_the_container_has_what_the_package_reads_beside_its_sources(tmp_path: Path) -> None:
    """Templates and published tables were left out, and `needlework review` did not find them."""
    root = container_files(tmp_path)
    code = (
        "from needlework import installed\nfrom needlework.external import registry\n"
        "assert list(installed.find('reports/templates').glob('*.j2'))\n"
        "assert list(installed.find('resources/published').glob('*.csv'))\n"
        "print(installed.root())\n"
        "registry.registry()\n"
    )
    environment = os.environ | {"PYTHONPATH": str(root / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, str(root)), done.stderr
    assert {"pyproject.toml", "README.md", "LICENSE", "envs"} <= {e.name for e in root.iterdir()}


def test_the_container_has_a_compiler_and_the_pins_of_the_environment() -> None:
    text = (ROOT / "envs/needlework.def").read_text()
    assert " gcc git libc6-dev\n" in text
    (command,) = re.findall(r"sed -n '(.*)' envs/cuda.yaml", text)
    read = subprocess.run(
        ["sed", "-n", command, ROOT / "envs/cuda.yaml"], capture_output=True, text=True
    )
    assert read.stdout.splitlines() == pip_part("cuda.yaml")
    assert f"sed -n '{command}'" in (ROOT / "Makefile").read_text()


def wheel(folder: Path, name: str, version: str, needs: Iterable[str] = ()) -> None:
    """A stand-in for a package: a wheel that holds nothing but what it asks for."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{name.replace('-', '_')}-{version}"
    asks = "".join(f"Requires-Dist: {each}\n" for each in needs)
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
        inside = f"{stem}.dist-info"
        archive.writestr(
            f"{inside}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{asks}"
        )
        archive.writestr(
            f"{inside}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{inside}/RECORD", "")


def index(folder: Path, *versions: str) -> str:
    """The address of an index that has these versions of torch."""
    for version in versions:
        wheel(folder / "torch", "torch", version)
    names = [each.name for each in sorted((folder / "torch").iterdir())]
    page = "".join(f'<a href="{each}">{each}</a>\n' for each in names)
    (folder / "torch/index.html").write_text(page)
    return folder.as_uri()


@pytest.mark.slow
def test_the_environment_for_gpus_resolves(tmp_path: Path) -> None:
    """Stand-ins take the place of the two wheels that PyPI lacks; all others are PyPI's.

    pip 23 downloads what it would install even in a dry run, so a newer one resolves.
    """
    newer = tmp_path / "pip"
    get = [sys.executable, "-m", "pip", "install", "--quiet", "--retries", "1", "--timeout", "10"]
    fetched = subprocess.run([*get, "--target", newer, "pip>=25.1"], capture_output=True, text=True)
    if fetched.returncode and any(each in fetched.stderr for each in OUT_OF_REACH):
        pytest.skip("PyPI is out of reach")
    assert not fetched.returncode, fetched.stderr
    local = ENVIRONMENTS["cuda.yaml"]
    more = ["torch==2.10.*", "ninja", "packaging"]
    wheel(tmp_path, "causal-conv1d", str(local["causal-conv1d"]), more)
    # Mamba-3 alone calls the last three.
    more += ["einops", "triton>=3.5.0", "transformers", "setuptools>=61.0.0"]
    more += ["tilelang==0.1.8", "apache-tvm-ffi<=0.1.9", "quack-kernels>=0.3.4"]
    wheel(tmp_path, "mamba-ssm", str(local["mamba-ssm"]), more)
    pins = [each for each in pip_part("cuda.yaml") if not each.startswith("--")]
    report = tmp_path / "report.json"
    dry = ["--dry-run", "--quiet", "--ignore-installed", "--use-feature", "fast-deps"]
    local_too = ["--report", report, "--find-links", tmp_path]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *dry, *local_too, *pins],
        env=os.environ | {"PYTHONPATH": str(newer)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    metadata = [each["metadata"] for each in json.loads(report.read_text())["install"]]
    found = {canonicalize_name(each["name"]): Version(each["version"]) for each in metadata}
    assert local.items() <= found.items()
    assert found["triton"] >= Version("3.5")


class Machine:
    """A folder with a set-up of its own: torch, and nothing else, from local indexes."""

    def __init__(self, folder: Path, path: Path) -> None:
        self.folder, self.path = folder, path
        self.environment = folder / "venv"
        (folder / "constraints.txt").write_text(f"torch=={TORCH}\n")
        self.cpu = index(folder / "cpu", f"{TORCH}+cpu")
        self.pypi = index(folder / "pypi", TORCH)

    def set_up(self, **variables: str) -> str:
        """Run the script that `make` runs; what it says on its own behalf."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PIP_") and k != "CUDA"}
        done = subprocess.run(
            ["sh", ROOT / "envs/venv.sh", self.environment, "constraints.txt", "torch"],
            cwd=self.folder,
            env=clean
            | {"PYTHON": str(self.path / "python"), "PATH": f"{self.path}:{os.environ['PATH']}"}
            | {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": self.pypi}
            | {"TORCH_CPU_INDEX": self.cpu}
            | variables,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return "\n".join(e for e in done.stderr.splitlines() if e.startswith("needlework: "))

    @property
    def torch(self) -> str:
        (found,) = self.environment.glob("lib/*/site-packages/torch-*.dist-info")
        return found.name.removesuffix(".dist-info").partition("-")[2]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One without an NVIDIA driver, whose Python has pip and no ensurepip, as on a Debian."""
    if Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi"):
        pytest.skip("this machine has an NVIDIA driver")
    tools = tmp_path / "bin"
    tools.mkdir()
    python = tools / "python"
    python.write_text(
        f'#!/bin/sh\n[ "$*" = "-c import ensurepip" ] && exit 1\nexec "{sys.executable}" "$@"\n'
    )
    python.chmod(0o755)
    return Machine(tmp_path, tools)


@pytest.mark.slow
def test_without_a_driver_the_torch_for_cpus_is_taken_until_another_is_asked_for(
    machine: Machine,
) -> None:
    """Every outsider got 2.99 GB of CUDA. A login node asks for it, and keeps it."""
    said = machine.set_up()
    assert machine.torch == f"{TORCH}+cpu"
    assert said.startswith("needlework: no NVIDIA driver here, so torch for CPUs;")
    assert "make CUDA=1" in said
    assert said.count("\n") == 0
    assert machine.set_up(CUDA="1", PIP_FIND_LINKS=str(machine.folder / "cpu/torch")) == ""
    assert machine.torch == TORCH
    assert (machine.environment / "ready").read_text() == "1\n"
    assert machine.set_up() == ""
    assert machine.torch == TORCH
    assert machine.set_up(CUDA="0") == ""
    assert machine.torch == f"{TORCH}+cpu"
    assert (machine.environment / "ready").read_text() == "0\n"


@pytest.mark.slow
def test_with_a_driver_the_cuda_build_is_taken(machine: Machine) -> None:
    (machine.path / "nvidia-smi").touch(mode=0o755)
    assert machine.set_up(PIP_FIND_LINKS=str(machine.folder / "cpu/torch")) == ""
    assert machine.torch == TORCH


@pytest.mark.slow
def test_without_that_index_one_line_says_so_and_pips_own_is_taken(machine: Machine) -> None:
    """A machine behind a mirror of PyPI; and one whose own folder of wheels has torch for CPUs."""
    nowhere = "http://127.0.0.1:9/whl/cpu"
    first, second = machine.set_up(TORCH_CPU_INDEX=nowhere).splitlines()
    assert "no NVIDIA driver here" in first
    assert second.startswith(f"needlework: no torch from {nowhere} (ERROR: No matching")
    assert second.endswith("which may be the CUDA build of 2.99 GB")
    assert machine.torch == TORCH
    shutil.rmtree(machine.environment)
    said = machine.set_up(TORCH_CPU_INDEX=nowhere, PIP_FIND_LINKS=str(machine.folder / "cpu/torch"))
    assert "no torch from" not in said
    assert machine.torch == f"{TORCH}+cpu"


def test_another_word_than_0_or_1_is_refused() -> None:
    done = subprocess.run(
        ["sh", ROOT / "envs/venv.sh", "nowhere", os.devnull],
        env=os.environ | {"CUDA": "yes"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "needlework: CUDA=yes is neither 0 (torch for CPUs) nor 1 (the CUDA build)\n"
    )


@pytest.mark.parametrize(
    ("ready", "asked", "again"),
    [("0", [], False), ("0", ["CUDA=0"], False), ("0", ["CUDA=1"], True), ("1", ["CUDA=0"], True)],
)
def test_make_sets_up_again_where_another_torch_is_asked_for(
    ready: str, asked: list[str], again: bool, tmp_path: Path
) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "envs/venv.sh"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/ready").write_text(f"{ready}\n")
    environment = {key: value for key, value in os.environ.items() if key != "CUDA"}
    done = subprocess.run(
        ["make", "--dry-run", ".venv/ready", *asked],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ("sh envs/venv.sh .venv constraints.txt -e '.[dev]'" in done.stdout) == again


def test_the_lowest_versions_are_those_of_the_ranges() -> None:
    """`make test-lowest` reads them with sed; a range that it cannot read would go untried."""
    (command,) = re.findall(r"sed -n '(.*)' pyproject.toml", (ROOT / "Makefile").read_text())
    read = subprocess.run(
        ["sed", "-n", command, ROOT / "pyproject.toml"], capture_output=True, text=True
    )
    dev = PROJECT["optional-dependencies"]["dev"]
    lowest = {
        name: Version(bound.version)
        for name, each in parsed([*PROJECT["dependencies"], *dev]).items()
        for bound in each.specifier
        if bound.operator == ">="
    }
    assert pinned(read.stdout.split()) == lowest
    assert lowest.keys() == (NEEDED | parsed(dev).keys()) - {"wonderwords", "types-pyyaml"}
