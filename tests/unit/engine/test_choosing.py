"""When a choice between two tokens is made once more, by itself."""

import pytest
import torch
from torch import Tensor

from needlework.engine.choosing import Greedy
from needlework.models import kernels

ALONE = torch.tensor([0.0, 0.0, 1.0])
"""What the row says by itself, whatever it said in a batch."""


def choices(gap: float, dtype: torch.dtype = torch.float32) -> tuple[int, list[int]]:
    """The token of a row whose second-best logit is `gap` of the largest behind, and what was
    asked alone."""
    asked = []

    def alone(prompt: int) -> Tensor:
        asked.append(prompt)
        return ALONE

    logits_RV = torch.tensor([[10.0, 10.0 - 10 * gap, -3.0]], dtype=dtype)
    (token,) = Greedy(alone)(logits_RV, [7])
    return token, asked


def test_a_clear_choice_stands() -> None:
    assert choices(2e-4) == (0, [])


def test_a_close_choice_is_made_alone() -> None:
    assert choices(0.5e-4) == (2, [7])


@pytest.mark.parametrize("gap", [2e-4, 1.3e-3, 4e-3])
def test_on_a_gpu_the_margin_is_wider(gap: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Products in TF32 move logits by up to 1.3e-3 of the largest, by how a batch is cut."""
    monkeypatch.setattr(kernels, "accelerated", lambda device: True)
    assert choices(gap) == (2, [7])
    assert choices(6e-3) == (0, [])


def test_half_precision_is_never_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    for on_gpu in (False, True):
        monkeypatch.setattr(kernels, "accelerated", lambda device, answer=on_gpu: answer)
        assert choices(0.0, torch.bfloat16) == (0, [])
