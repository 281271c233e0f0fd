"""The choice of kernels, which can be tested without any: who computes what, where."""

import pytest
import torch

from needlework.models import kernels

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def everything_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "installed", lambda module: True)


@pytest.mark.usefixtures("everything_installed")
def test_cpu_computes_with_torch_whatever_is_installed() -> None:
    assert set(kernels.choices(CPU, torch.float32).values()) == {kernels.TORCH}


@pytest.mark.usefixtures("everything_installed")
def test_cuda_computes_with_the_installed_kernels() -> None:
    choices = kernels.choices(CUDA, torch.bfloat16)
    assert choices == {name: kernel.package for name, kernel in kernels.KERNELS.items()}


def test_a_package_that_is_absent_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "installed", lambda module: module == "fla")
    choices = kernels.choices(CUDA, torch.bfloat16)
    assert choices["diagonal_scan"] == "fla-core"
    assert choices["selective_scan"] == kernels.TORCH


@pytest.mark.usefixtures("everything_installed")
def test_float64_is_computed_with_torch() -> None:
    """Kernels know half and single precision; a second opinion must not lose digits."""
    assert set(kernels.choices(CUDA, torch.float64).values()) == {kernels.TORCH}


@pytest.mark.usefixtures("everything_installed")
def test_only_torch_turns_every_kernel_off_and_on_again() -> None:
    with kernels.only_torch():
        assert set(kernels.choices(CUDA, torch.bfloat16).values()) == {kernels.TORCH}
    assert kernels.chosen("attention", CUDA, torch.bfloat16) == "flash-attn"


def test_an_importable_module_counts_as_installed() -> None:
    kernels.installed.cache_clear()
    assert kernels.installed("torch")
    assert not kernels.installed("no_such_package_anywhere")
