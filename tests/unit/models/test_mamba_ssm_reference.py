"""Where mamba_ssm is asked for its logits, and where it would only crash."""

import pytest
import torch

from needlework.models import kernels, references
from tests.models_for_tests import family

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("name", "installed", "device", "missing"),
    [
        ("mamba2", (), CUDA, "not installed"),
        ("mamba2", ("mamba_ssm",), CPU, "without a GPU"),
        ("mamba2", ("mamba_ssm",), CUDA, None),
        ("mamba2attn", ("mamba_ssm",), CUDA, "without flash-attn"),
        ("transformerpp", ("mamba_ssm",), CUDA, "without flash-attn"),
        ("mamba2attn", ("mamba_ssm", "flash_attn"), CUDA, None),
    ],
)
def test_attention_of_mamba_ssm_needs_flash_attn(
    name: str,
    installed: tuple[str, ...],
    device: torch.device,
    missing: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its MHA asserts that flash-attn is there, which ended `verify-model` with a traceback."""
    monkeypatch.setattr(kernels, "installed", lambda module: module in installed)
    found = references._missing_for_mamba_ssm(family(name).config, device)
    assert found is None if missing is None else missing in found
