"""What a machine has to compute with is said as it is: imported, not looked up by name."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from needlework.cluster import installation
from needlework.models import kernels

GPU, CPU = torch.device("cuda"), torch.device("cpu")


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither what was imported nor what was found is remembered between tests."""
    installation.import_failure.cache_clear()
    kernels.import_failure.cache_clear()
    kernels.too_old.cache_clear()
    monkeypatch.delitem(sys.modules, "causal_conv1d", raising=False)
    yield
    kernels.import_failure.cache_clear()
    kernels.too_old.cache_clear()
    sys.modules.pop("causal_conv1d", None)


def package(
    folder: Path, name: str, files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installed distribution of these modules, in this process and those it starts."""
    for file, text in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text)
    metadata = folder / f"{name.replace('-', '_')}-9.9.dist-info/METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.9\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))


CONVOLUTION = {"causal_conv1d/__init__.py": "def causal_conv1d_fn(): ...\n"}
BROKEN = {"causal_conv1d/__init__.py": "import causal_conv1d_cuda\n"}


def test_what_is_not_installed_is_said() -> None:
    package = kernels.KERNELS["selective_scan"].package
    if importlib.util.find_spec("mamba_ssm"):
        pytest.skip("mamba-ssm is installed here")
    for device in (CPU, GPU):
        assert installation.kernel("selective_scan", device) == f"torch: {package} is not installed"


def test_a_kernel_is_used_where_it_can_be_imported_and_there_is_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(tmp_path, "causal-conv1d", CONVOLUTION, monkeypatch)
    assert installation.kernel("convolution", GPU) == "causal-conv1d 9.9: used"
    waits = "torch: causal-conv1d 9.9 can be imported and waits for a GPU"
    assert installation.kernel("convolution", CPU) == waits


def test_a_package_without_its_compiled_part_is_not_taken_for_a_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was listed with its version as if it would work; the first call on a GPU then failed."""
    package(tmp_path, "causal-conv1d", BROKEN, monkeypatch)
    said = installation.kernel("convolution", CPU)
    assert said == (
        "torch: causal-conv1d 9.9 cannot be imported: "
        "ModuleNotFoundError: No module named 'causal_conv1d_cuda'"
    )
    assert installation.kernel("convolution", GPU) == said


def test_a_package_without_the_function_is_not_taken_for_a_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the namespace `flash_attn` that another package makes, which has none of its functions."""
    package(tmp_path, "causal-conv1d", {"causal_conv1d/other.py": ""}, monkeypatch)
    assert "has no attribute 'causal_conv1d_fn'" in installation.kernel("convolution", CPU)
    assert kernels.chosen("convolution", GPU, torch.bfloat16) == kernels.TORCH


def test_a_package_that_ends_its_process_is_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = {"causal_conv1d/__init__.py": "import os\nos.abort()\n"}
    package(tmp_path, "causal-conv1d", killed, monkeypatch)
    assert "Python ended with -6" in installation.kernel("convolution", CPU)
    assert installation.kernel("convolution", GPU).startswith("none: causal-conv1d 9.9 is chosen")


def test_a_line_for_every_kernel_and_torch_as_it_is() -> None:
    said = "\n".join(installation.lines(CPU))
    assert f"torch       {torch.__version__}, built for" in said
    for operation, kernel in kernels.KERNELS.items():
        assert any(
            line.split()[0] == operation and kernel.package in line
            for line in said.splitlines()
            if line.startswith("  ")
        )


def test_a_compiler_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    assert installation.compiler().startswith("none: neither gcc nor clang is here")
    monkeypatch.setenv("CC", "mycc")
    assert installation.compiler().startswith("none: CC=mycc is not here")
    (tmp_path / "mycc").touch(mode=0o755)
    monkeypatch.setattr(installation.sysconfig, "get_path", lambda name: str(tmp_path))
    assert installation.compiler().startswith(f"none: mycc is here, but {tmp_path} has no Python.h")
    (tmp_path / "Python.h").touch()
    assert installation.compiler() == f"mycc, headers of Python in {tmp_path}"


def test_on_a_gpu_that_is_too_old_torch_computes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    package(tmp_path, "causal-conv1d", CONVOLUTION, monkeypatch)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla V100")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 0))
    why = "Tesla V100 has compute capability 7.0, kernels need 8.0"
    for _ in range(2):
        assert kernels.chosen("convolution", GPU, torch.bfloat16) == kernels.TORCH
    assert caplog.messages == [f"no kernel is used: {why}"]
    said = f"torch: causal-conv1d 9.9 cannot be used: {why}"
    assert installation.kernel("convolution", GPU) == said
    kernels.too_old.cache_clear()
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (12, 0))
    assert installation.kernel("convolution", GPU) == "causal-conv1d 9.9: used"


def test_without_a_compiler_torch_computes_what_triton_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Every model launches kernels of ours: the first one would end the job with a traceback."""
    package(tmp_path, "triton", {"triton/__init__.py": "def jit(): ...\n"}, monkeypatch)
    monkeypatch.delitem(sys.modules, "triton", raising=False)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setenv("CC", "mycc")
    for _ in range(2):
        assert kernels.chosen("pointwise", GPU, torch.bfloat16) == kernels.TORCH
    (line,) = caplog.messages
    assert line.startswith("triton is installed and not used: CC=mycc is not here")
    said = installation.kernel("pointwise", GPU)
    assert said.startswith("torch: triton 9.9 cannot be used: CC=mycc is not here")
    waits = "torch: triton 9.9 can be imported and waits for a GPU"
    assert installation.kernel("pointwise", CPU) == waits
    sys.modules.pop("triton", None)


@pytest.mark.parametrize(
    "text",
    [
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\n"
        "GCC version:  gcc version 12.2.0\n",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  535.104.05  Release Build\n",
    ],
)
def test_the_driver_says_its_version(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "DRIVER", tmp_path / "version")
    (tmp_path / "version").write_text(text)
    assert installation.driver() == "535.104.05"


@pytest.mark.parametrize(
    ("prints", "expected"),
    [("550.54.15\n550.54.15", "550.54.15"), ("NVIDIA-SMI has failed", None), ("", None)],
)
def test_without_that_file_the_tool_of_the_driver_is_asked(
    prints: str, expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "DRIVER", tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert installation.driver() is None
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\necho '{prints}'\n")
    tool.chmod(0o755)
    assert installation.driver() == expected


def test_it_is_said_why_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise RuntimeError("The NVIDIA driver on your system is too old\n(found version 11040).")

    def said() -> str:
        (line,) = (each for each in installation.lines(CPU) if each.startswith("no GPU"))
        return line

    monkeypatch.setattr(installation, "driver", lambda: None)
    assert "without a driver" in said()
    monkeypatch.setattr(installation, "driver", lambda: "470.1")
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "`make CUDA=1 .venv/ready`" in said()
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "current_device", refuse)
    assert said().endswith("The NVIDIA driver on your system is too old (found version 11040).")
