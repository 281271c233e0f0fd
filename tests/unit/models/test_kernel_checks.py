"""What kernels are compared on: layers that remember, and a comparison that misses nothing."""

from typing import Any

import pytest
import torch
from torch import Tensor

from needlework.models import cuda
from needlework.models.config import SSD
from needlework.models.decoder import MIXERS
from needlework.models.mixer import Mixer
from needlework.models.random_weights import random_layer
from needlework.models.rglru import diagonal_scan
from needlework.proving.checking import largest_share, share, state_tensors
from tests.kernels_for_tests import (
    Draws,
    diagonal_scan_arguments,
    scan_difference,
    selective_scan_arguments,
)
from tests.models_for_tests import WIDE_SPECS, WIDE_WIDTH

# Ten times what the tests on a GPU let pass.
SEEN = 0.05
SPEC = SSD(heads=2, head_width=4, state=4, chunk=4)


def lost(layer: Mixer[Any]) -> float:
    """How much of a state is missing where all but the last 500 tokens are forgotten."""
    x_BTD = Draws.seeded(0).normal(1, 1500, WIDE_WIDTH)
    _, whole = layer(x_BTD, layer.init_state(1))
    _, end = layer(x_BTD[:, -500:], layer.init_state(1))
    return largest_share(list(state_tensors(end)), list(state_tensors(whole)))


@pytest.mark.parametrize("name", ["mamba2", "rglru", "time mix"])
def test_a_state_that_misses_what_is_older_than_a_chunk_is_seen(name: str) -> None:
    """Random layers forget within 16 tokens: on them no error between chunks could be seen."""
    spec = WIDE_SPECS[name][0]
    torch.manual_seed(0)
    assert lost(random_layer(spec, WIDE_WIDTH)) > SEEN
    assert lost(MIXERS[type(spec)](WIDE_WIDTH, spec).requires_grad_(False)) < 1e-5


def arguments(tokens: int = 6) -> tuple[Tensor, ...]:
    return diagonal_scan_arguments(5, 3, tokens, draws=Draws.seeded(0))


def test_torch_differs_from_itself_by_rounding() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda, "diagonal_scan", diagonal_scan)
        assert scan_difference("diagonal_scan", arguments()).within(1e-5)


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (lambda h, last: (h[:, :-1], last), "outputs of shape"),
        (lambda h, last: (h.bfloat16(), last), "torch.bfloat16"),
        (lambda h, last: (h, last + 1), ""),
        (lambda h, last: (h * float("nan"), last), ""),
        (lambda h, last: (h, last.log()), ""),
    ],
)
def test_a_kernel_that_errs_is_found(
    broken: object, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda, "diagonal_scan", lambda *given: broken(*diagonal_scan(*given)))
    found = scan_difference("diagonal_scan", arguments())
    assert not found.within(0.5)
    assert fault in " ".join(found.faults)


def test_a_kernel_that_writes_into_its_arguments_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_place(log_decay: Tensor, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        h, last = diagonal_scan(log_decay, x, state)
        return h, state.copy_(last)

    monkeypatch.setattr(cuda, "diagonal_scan", in_place)
    assert scan_difference("diagonal_scan", arguments()).faults == (
        "an argument was changed in place",
    )


def test_half_precision_is_that_of_the_sequences() -> None:
    draws = Draws.seeded(0, dtype=torch.bfloat16)
    x, raw, *wide, write, read, state = selective_scan_arguments(SPEC, 2, 6, draws=draws)
    assert {each.dtype for each in (x, raw, write, read)} == {torch.bfloat16}
    assert {each.dtype for each in (*wide, state)} == {torch.float32}
    assert bool((raw[1, 3:] == float("-inf")).all())
    assert bool(raw[0].isfinite().all())


def test_what_broadcasts_is_not_equal() -> None:
    assert share(torch.ones(1, 3), torch.ones(2, 3)) != 0
    assert not share(torch.full((2,), float("inf")), torch.full((2,), float("inf"))) <= 1
