"""The choice of kernels, which can be tested without any: who computes what, where."""

import ast
import inspect
import sys
import types
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from needlework.models import cuda, kernels
from needlework.models.random_weights import random_layer
from needlework.proving.checking import largest_share
from tests.kernels.extensions import attention_of_cuda
from tests.kernels_for_tests import layer_results
from tests.models_for_tests import SPECS, WIDTH

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
    assert kernels.installed("torch")
    assert not kernels.installed("no_such_package_anywhere")


def test_a_package_that_does_not_import_is_not_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A compiled half built for another torch was found at the first token, by a traceback."""
    (tmp_path / "causal_conv1d").mkdir()
    (tmp_path / "causal_conv1d/__init__.py").write_text("import causal_conv1d_cuda\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "causal_conv1d", raising=False)
    kernels.import_failure.cache_clear()
    for _ in range(2):
        assert kernels.chosen("convolution", CUDA, torch.bfloat16) == kernels.TORCH
    (line,) = caplog.messages
    assert "causal_conv1d is installed and not used" in line
    assert "No module named 'causal_conv1d_cuda'" in line
    kernels.import_failure.cache_clear()


def test_the_table_has_all_that_is_called() -> None:
    called = [
        f"{node.module}:{alias.name}"
        for node in ast.walk(ast.parse(inspect.getsource(cuda)))
        if isinstance(node, ast.ImportFrom) and node.col_offset and node.module
        for alias in node.names
    ]
    # With triton we write kernels, and call none of its own.
    packages = [kernel for kernel in kernels.KERNELS.values() if kernel.module != "triton"]
    listed = [each for kernel in packages for each in kernel.functions]
    assert sorted(called) == sorted(listed)


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("widens", sorted({False, cuda.WIDENS}))
def test_products_of_half_precision_are_float32_with_any_torch(
    widens: bool, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch 2.7, the lowest that is allowed, has no argument for the dtype of a product."""
    monkeypatch.setattr(cuda, "WIDENS", widens)
    left, right = torch.rand(2, 3, 40).bfloat16(), torch.rand(2, 40, 5).bfloat16()
    found = cuda.wide_products(left.to(device), right.to(device))
    assert found.dtype is torch.float32
    if device == "cpu":
        torch.testing.assert_close(found, (left.double() @ right.double()).float())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["grouped attention", "window"])
def test_grouped_attention_on_cuda_never_asks_for_the_math_kernel(
    name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes the scores of all pairs in float32: 10.7 GB for one row of 16,384 tokens."""
    monkeypatch.setattr(kernels, "accelerated", lambda device: True)
    monkeypatch.setattr(kernels, "installed", lambda module: False)
    layer = random_layer(SPECS[name], WIDTH, dtype=dtype)
    with torch.inference_mode():
        expected = layer_results(layer, WIDTH, rows=2, tokens=20)
        monkeypatch.setattr(F, "scaled_dot_product_attention", attention_of_cuda)
        assert largest_share(layer_results(layer, WIDTH, rows=2, tokens=20), expected) == 0


def test_what_triton_has_chosen_is_found_by_the_name_of_the_kernel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tuned kernels stand in modules of their packages, some with heuristics around them."""
    library = types.ModuleType("triton.runtime.autotuner")

    class Autotuner:
        def __init__(self, name: str, *warps: int) -> None:
            self.base_fn = types.SimpleNamespace(__name__=name)
            self.cache = {
                (count,): types.SimpleNamespace(kwargs={"BLOCK": 64}, num_warps=count, num_stages=2)
                for count in warps
            }

    class Heuristics:
        def __init__(self, fn: object) -> None:
            self.fn = fn

    for kind in (Autotuner, Heuristics):
        kind.__module__ = library.__name__
        setattr(library, kind.__name__, kind)
    package = types.ModuleType("fla.ops.some")
    vars(package).update(
        one=Heuristics(Autotuner("scan", 8, 4)), two=Autotuner("never_run"), number=3
    )
    for module in (library, package):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    found = kernels.configurations()
    assert found == {
        "scan": "BLOCK=64 num_warps=4 num_stages=2 | BLOCK=64 num_warps=8 num_stages=2"
    }
