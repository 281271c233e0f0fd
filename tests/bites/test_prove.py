"""`needlework prove` sees what a broken kernel does: memory lost, or read too late, far away."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from needlework.models import rglru, rwkv6, ssd
from needlework.proving.checking import check_kernels, check_long
from needlework.proving.steps import TOY

LAYERS = {
    "selective scan": (ssd, "selective_scan", 2),
    "diagonal scan": (rglru, "diagonal_scan", 1),
    "time mixing": (rwkv6, "weighted_key_values", 2),
}
"""Where the scan of each layer is, and what of its inputs is like its state."""


def forgetful(monkeypatch: pytest.MonkeyPatch, name: str, tokens: int, *, whole: bool) -> None:
    """A float32 scan whose call of more tokens starts from nothing, or loses what it carries on."""
    module, function, _ = LAYERS[name]
    scan: Callable[..., tuple[Tensor, Tensor]] = getattr(module, function)

    def broken(*words: Tensor, **options: Any) -> tuple[Tensor, Tensor]:
        *inputs, state = words
        long = words[0].shape[1] > tokens and state.dtype is torch.float32
        result, after = scan(
            *inputs, torch.zeros_like(state) if long and not whole else state, **options
        )
        return result, after * 0.9 if long and whole else after

    monkeypatch.setattr(module, function, broken)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("whole", [False, True], ids=["start", "end"])
def test_a_state_that_is_lost_is_seen(
    monkeypatch: pytest.MonkeyPatch, name: str, whole: bool
) -> None:
    forgetful(monkeypatch, name, 16, whole=whole)
    found = check_kernels(TOY, name)
    assert {check.tokens for check in found.checks if not check.passed} >= {17, 70}


@pytest.mark.parametrize("name", LAYERS)
def test_a_long_call_that_loses_its_state_is_seen(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    forgetful(monkeypatch, name, 300, whole=True)
    found = check_long(TOY, name)
    assert [check.passed for check in found.checks] == [True, False]
