"""Everything that `needlework prove` needs beside Python, torch, triton and nvcc, as one folder.

`make prove-bundle PYTHON=3.12`, or `python -m needlework.proving.bundle FOLDER 3.12`: wheels
for that Python on Linux, the sources of causal-conv1d, and `prove.sh`, which installs and runs.
Needs the repository, pip and PyPI.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from needlework.errors import NeedleworkError, ResourceError
from needlework.external.packages import has_pip

ROOT = Path(__file__).parents[3]
LIMIT = 30 << 20
"""Bytes of a bundle, so that it travels through any door."""
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
WHEELS = (
    "annotated-types",
    "click",
    "einops",
    "fla-core",
    "ninja",
    "numpy",
    "packaging",
    "pip",
    "pydantic",
    "pydantic_core",
    "PyYAML",
    "setuptools",
    "typing-inspection",
    "typing_extensions",
)
"""What the engine and the kernels import, with what installs them and compiles causal-conv1d."""
SOURCES = ("causal-conv1d", "mamba-ssm")
"""On PyPI as sources only."""
PIN_FILES = ("constraints.txt", "envs/cuda.yaml", "pyproject.toml")
TOOLS = {"ninja": "1.13.0", "pip": "25.3", "einops": "0.8.2"}
"""Versions of what no file of the project pins."""
OURS = ("pyproject.toml", "README.md", "LICENSE", "src")
"""What our wheel is made of: the package alone, without workflow, studies and models."""
SKIPPED = {
    f"{package}_{what}": "TRUE"
    for package in ("CAUSAL_CONV1D", "MAMBA")
    for what in ("SKIP_CUDA_BUILD", "FORCE_BUILD")
}
"""Their setups run when sources are fetched; so they neither look for nvcc nor for GitHub."""
TRITON_PARTS = ("mamba_ssm/ops", "mamba_ssm/ops/triton", "mamba_ssm/utils")
"""Folders of mamba_ssm whose modules are used; the others need transformers or compiled code."""


def bundle(folder: Path, python: str) -> int:
    """Make the bundle for one Python, as 3.12, anew; its bytes.

    Raises:
        ResourceError: pip could not fetch or build something, or the bundle is too large.
    """
    shutil.rmtree(folder, ignore_errors=True)
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    pins = find_pins((ROOT / name).read_text(encoding="utf-8") for name in PIN_FILES)
    _fetch_wheels(wheels, python, pins)
    with tempfile.TemporaryDirectory() as place:
        conv, mamba = _fetch_sources(Path(place), pins)
        shutil.copy(conv, folder)
        triton_wheel(mamba, wheels)
        _our_wheel(Path(place) / "ours", wheels)
    script = folder / "prove.sh"
    shutil.copy(Path(__file__).with_name("prove.sh"), script)
    script.chmod(0o755)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if size > LIMIT:
        raise ResourceError(
            f"{folder} has {size / (1 << 20):.1f} MiB, more than the {LIMIT >> 20} it may have; "
            "leave something out of WHEELS"
        )
    return size


def find_pins(texts: Iterator[str]) -> dict[str, str]:
    """The version of every package that is pinned, by its normal name; local parts are dropped."""
    found: dict[str, str] = {}
    for text in texts:
        for name, version in re.findall(r"([A-Za-z0-9_.-]+)==([0-9][A-Za-z0-9.]*)", text):
            found.setdefault(_normal(name), version)
    return TOOLS | found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _pinned(names: Sequence[str], pins: Mapping[str, str]) -> list[str]:
    missing = [name for name in names if _normal(name) not in pins]
    if missing:
        raise ResourceError(f"{', '.join(PIN_FILES)} pin no {missing[0]}; add it to TOOLS")
    return [f"{name}=={pins[_normal(name)]}" for name in names]


def _fetch_wheels(wheels: Path, python: str, pins: Mapping[str, str]) -> None:
    wanted = ["--only-binary=:all:", "--no-deps", "--python-version", python]
    wanted += [word for name in PLATFORMS for word in ("--platform", name)]
    _pip("download", *wanted, "--dest", str(wheels), *_pinned(WHEELS, pins))


def _fetch_sources(place: Path, pins: Mapping[str, str]) -> tuple[Path, Path]:
    """The source distributions of causal-conv1d and mamba-ssm."""
    wanted = ["--no-binary=:all:", "--no-deps", "--no-build-isolation", "--dest", str(place)]
    _pip("download", *wanted, *_pinned(SOURCES, pins))
    (conv,), (mamba,) = place.glob("causal_conv1d-*.tar.gz"), place.glob("mamba_ssm-*.tar.gz")
    return conv, mamba


def _our_wheel(place: Path, wheels: Path) -> None:
    """Built from a copy, so that nothing of an earlier build gets in."""
    for name in OURS:
        source, target = ROOT / name, place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            ignored = shutil.ignore_patterns("*.egg-info", "__pycache__")
            shutil.copytree(source, target, ignore=ignored)
        else:
            shutil.copy(source, target)
    wanted = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(wheels)]
    _pip("wheel", *wanted, str(place))


def triton_wheel(source: Path, wheels: Path) -> Path:
    """A wheel of the Triton kernels of mamba-ssm alone, from its source distribution.

    The package as it is imports transformers and a compiled extension, of which its kernels need
    neither. The version says that it is a part: 2.3.2.post1+triton.

    Raises:
        ResourceError: the archive holds no such kernels.
    """
    files: dict[str, bytes] = {}
    version = source.name.removeprefix("mamba_ssm-").removesuffix(".tar.gz") + "+triton"
    with tarfile.open(source) as archive:
        for member in archive.getmembers():
            inside = Path(*Path(member.name).parts[1:])
            if inside.suffix == ".py" and str(inside.parent) in TRITON_PARTS:
                files[str(inside)] = _content(archive, member)
            if str(inside) == "LICENSE":
                files[f"mamba_ssm-{version}.dist-info/LICENSE"] = _content(archive, member)
    if "mamba_ssm/ops/triton/ssd_combined.py" not in files:
        raise ResourceError(f"{source} holds no Triton kernels; is it the source of mamba-ssm?")
    files["mamba_ssm/__init__.py"] = f'__version__ = "{version}"\n'.encode()
    return write_wheel(wheels, "mamba_ssm", version, files)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return b"" if file is None else file.read()


def write_wheel(folder: Path, name: str, version: str, files: Mapping[str, bytes]) -> Path:
    """A wheel of these files for any Python and machine."""
    known = f"{name}-{version}.dist-info"
    described = f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n"
    tags = "Wheel-Version: 1.0\nGenerator: needlework\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    everything = {
        **files,
        f"{known}/METADATA": described.encode(),
        f"{known}/WHEEL": tags.encode(),
    }
    record = "".join(f"{path},,\n" for path in [*everything, f"{known}/RECORD"])
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for inside, content in {**everything, f"{known}/RECORD": record.encode()}.items():
            wheel.writestr(inside, content)
    return path


def _pip(*words: str) -> None:
    """Run pip, that of this environment or, where it has none, the one of the system.

    Raises:
        ResourceError: it failed; its last words say why.
    """
    pip = [sys.executable, "-m", "pip"]
    if not has_pip():
        pip = ["python3", "-m", "pip", "--python", sys.executable]
    command = [*pip, words[0], "--quiet", "--disable-pip-version-check", *words[1:]]
    done = subprocess.run(
        command, env=os.environ | SKIPPED, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ResourceError(f"pip {words[0]} failed: {last}; is PyPI within reach?")


def main(words: Sequence[str]) -> None:
    """Make the bundle that the command line names."""
    if len(words) != 2 or not re.fullmatch(r"3\.\d+", words[1]):
        sys.exit("needlework: name a folder and a Python version, as 3.12")
    folder = Path(words[0])
    try:
        size = bundle(folder, words[1])
    except NeedleworkError as error:
        sys.exit(f"needlework: {error}")
    sys.stdout.write(
        f"{folder}: {size / (1 << 20):.1f} MiB for Python {words[1]}; on the machine with the GPU: "
        f"sh {folder.name}/prove.sh OUTPUT\n"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
