"""The bundle for a machine that has little: pins, the part of mamba-ssm, the script, its limit."""

import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from needlework.errors import ResourceError
from needlework.external.packages import has_pip
from needlework.proving import bundle

SCRIPT = Path(bundle.__file__).with_name("prove.sh")
HEAVY = ("polars", "altair", "transformers", "snakemake", "huggingface_hub", "scipy", "jinja2")


def sources(path: Path, files: dict[str, str]) -> Path:
    """A source distribution of these files."""
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"{path.name.removesuffix('.tar.gz')}/{name}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def test_every_package_of_the_bundle_is_pinned() -> None:
    texts = ((bundle.ROOT / name).read_text() for name in bundle.PIN_FILES)
    pins = bundle.find_pins(texts)
    pinned = bundle._pinned([*bundle.WHEELS, *bundle.SOURCES], pins)
    assert all("==" in pin for pin in pinned)
    constraints = (bundle.ROOT / "constraints.txt").read_text().splitlines()
    assert set(pinned) & set(constraints) >= {
        pin for pin in pinned if pin.startswith(("numpy", "click", "pydantic"))
    }


def test_a_local_version_is_not_asked_of_pypi() -> None:
    pins = bundle.find_pins(iter(["mamba-ssm==2.3.2.post1+cu.12.8.torch.2.10\nA_b==1.0"]))
    assert (pins["mamba-ssm"], pins["a-b"]) == ("2.3.2.post1", "1.0")


def test_a_package_without_a_pin_is_named() -> None:
    with pytest.raises(ResourceError, match="pin no mystery; add it to TOOLS"):
        bundle._pinned(["mystery"], {})


def test_the_kernels_of_mamba_import_without_the_rest_of_it(tmp_path: Path) -> None:
    source = sources(
        tmp_path / "mamba_ssm-9.9.tar.gz",
        {
            "LICENSE": "free",
            "mamba_ssm/__init__.py": "import selective_scan_cuda",
            "mamba_ssm/models/mixer.py": "import transformers",
            "mamba_ssm/ops/__init__.py": "",
            "mamba_ssm/ops/triton/__init__.py": "",
            "mamba_ssm/ops/triton/ssd_combined.py": "from mamba_ssm.utils.torch import answer",
            "mamba_ssm/ops/triton/mamba3/step.py": "import tilelang",
            "mamba_ssm/utils/__init__.py": "",
            "mamba_ssm/utils/torch.py": "answer = 42",
        },
    )
    wheel = bundle.triton_wheel(source, tmp_path)
    assert wheel.name == "mamba_ssm-9.9+triton-py3-none-any.whl"
    names = zipfile.ZipFile(wheel).namelist()
    assert "mamba_ssm-9.9+triton.dist-info/LICENSE" in names
    assert not any("mamba3" in name or "models" in name for name in names)
    shown = "import mamba_ssm.ops.triton.ssd_combined as s, mamba_ssm; print(s.answer)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(wheel)!r}); {shown}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["42"]


def test_something_else_than_mamba_is_refused(tmp_path: Path) -> None:
    source = sources(tmp_path / "mamba_ssm-1.tar.gz", {"setup.py": ""})
    with pytest.raises(ResourceError, match="holds no Triton kernels"):
        bundle.triton_wheel(source, tmp_path)


def test_a_wheel_of_ours_is_one_that_pip_installs(tmp_path: Path) -> None:
    wheel = bundle.write_wheel(tmp_path, "some_thing", "1.0", {"some_thing/__init__.py": b"x = 1"})
    command = [sys.executable, "-m", "pip"]
    if not has_pip():
        pytest.skip("this environment has no pip")
    target = tmp_path / "site"
    done = subprocess.run(
        [*command, "install", "--no-index", "--no-deps", "--target", str(target), str(wheel)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (target / "some_thing/__init__.py").read_text() == "x = 1"
    assert list(target.glob("some_thing-1.0.dist-info"))


def filled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let pip have fetched small files."""

    def pip(*words: str) -> None:
        place = Path(words[words.index("--dest") + 1]) if "--dest" in words else None
        if place is not None and "--no-binary=:all:" in words:
            sources(place / "causal_conv1d-1.tar.gz", {"a": ""})
            parts = {"mamba_ssm/ops/triton/ssd_combined.py": "", "LICENSE": ""}
            sources(place / "mamba_ssm-1.tar.gz", parts)

    monkeypatch.setattr(bundle, "_pip", pip)


def test_a_bundle_holds_script_sources_and_kernels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    filled(monkeypatch, tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/stale").touch()
    size = bundle.bundle(tmp_path / "out", "3.12")
    names = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    expected = {"prove.sh", "causal_conv1d-1.tar.gz", "mamba_ssm-1+triton-py3-none-any.whl"}
    assert names == expected
    assert size == sum(
        path.stat().st_size for path in (tmp_path / "out").rglob("*.*") if path.is_file()
    )


def test_a_bundle_that_is_too_large_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    filled(monkeypatch, tmp_path)
    monkeypatch.setattr(bundle, "LIMIT", 100)
    with pytest.raises(ResourceError, match="more than the 0 it may have"):
        bundle.bundle(tmp_path / "out", "3.12")


@pytest.mark.parametrize("words", [["out"], ["out", "python3"], []])
def test_a_bundle_needs_a_folder_and_a_version(words: list[str]) -> None:
    with pytest.raises(SystemExit, match="name a folder and a Python version"):
        bundle.main(words)


def test_the_script_is_one_that_sh_can_read() -> None:
    done = subprocess.run(["sh", "-n", str(SCRIPT)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_script_refuses_a_python_without_torch(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S -I "$@"\n')
    python.chmod(0o755)
    done = subprocess.run(
        ["sh", str(SCRIPT), str(tmp_path / "out")],
        env={"PATH": "/usr/bin:/bin", "PYTHON": str(python)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == f"needlework: {python} has no torch; name one that has with PYTHON=\n"


def test_the_command_imports_nothing_that_the_bundle_lacks() -> None:
    """Neither the command nor its workers; the bundle carries what they do import."""
    code = (
        "import needlework.cli, needlework.proving.running, needlework.proving.worker\n"
        "import sys\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(HEAVY) & set(done.stdout.split())
