"""Where mamba_ssm is asked for its logits, and where it would only crash."""

import pytest
import torch

from needlework.models import kernels, references
from tests.models_for_tests import family

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("name", "installed", "device", "asked"),
    [
        ("mamba2", (), CUDA, False),
        ("mamba2", ("mamba_ssm",), CPU, False),
        ("mamba2", ("mamba_ssm",), CUDA, True),
        ("mamba2attn", ("mamba_ssm",), CUDA, False),
        ("transformerpp", ("mamba_ssm",), CUDA, False),
        ("mamba2attn", ("mamba_ssm", "flash_attn"), CUDA, True),
    ],
)
def test_attention_of_mamba_ssm_needs_flash_attn(
    name: str,
    installed: tuple[str, ...],
    device: torch.device,
    asked: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its MHA asserts that flash-attn is there, which ended `verify-model` with a traceback."""
    monkeypatch.setattr(kernels, "installed", lambda module: module in installed)
    assert references._by_mamba_ssm(family(name).config, device) == asked
