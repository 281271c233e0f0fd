"""The recurrences: Triton's kernels, interpreted, against torch in float64."""

import pytest
import torch
from torch import Tensor

from needlework.models import cuda
from needlework.models.config import SSD, TimeMix
from needlework.models.layer import Operation
from tests.kernels import interpreter
from tests.kernels_for_tests import (
    Arguments,
    Draws,
    diagonal_scan_arguments,
    scan_difference,
    selective_scan_arguments,
    weighted_key_values_arguments,
)

pytestmark = interpreter.KERNELS

# Sums of float32 in another order; torch's own float32 is as far from float64.
TOLERANCE = 3e-5
TOKENS = [1, 2, 40, 63, 64, 65]
"""One, two, not a multiple of any chunk, and around the length where other kernels take over."""
MEMORIES = {"forgets at once": 0.005, "forgets soon": 1.0, "remembers 1000 tokens": 1000.0}
"""Tokens after which a state has faded to 1/e."""

GROUPED = SSD(heads=4, head_width=16, state=16, groups=2, chunk=16)
SELECTIVE = {
    "grouped": GROUPED,
    "odd widths": SSD(heads=6, head_width=5, state=7, groups=3, chunk=16),
    "chunk of 24": SSD(heads=2, head_width=16, state=16, chunk=24),
    "chunk of 4": SSD(heads=2, head_width=8, state=8, chunk=4),
}
TIME = TimeMix(heads=2, head_width=16, shift_rank=1, decay_rank=1)
ODD_TIME = TimeMix(heads=3, head_width=20, shift_rank=1, decay_rank=1)


def agrees(operation: Operation, arguments: Arguments, chunk: int | None = None) -> None:
    found = scan_difference(operation, arguments, chunk=chunk)
    assert not found.faults
    assert found.outputs <= TOLERANCE, f"outputs differ by {found.outputs:.2g} of the largest"
    assert found.state <= TOLERANCE, f"the final state differs by {found.state:.2g} of the largest"


def selective(spec: SSD, tokens: int, memory: float = 1.0, rows: int = 2) -> Arguments:
    return selective_scan_arguments(spec, rows, tokens, memory=memory, draws=Draws.seeded(tokens))


def diagonal(tokens: int, memory: float = 1.0, rows: int = 2, width: int = 33) -> Arguments:
    return diagonal_scan_arguments(width, rows, tokens, memory=memory, draws=Draws.seeded(tokens))


def weighted(spec: TimeMix, tokens: int, memory: float = 1.0, rows: int = 2) -> Arguments:
    draws = Draws.seeded(tokens)
    return weighted_key_values_arguments(spec, rows, tokens, memory=memory, draws=draws)


@pytest.mark.parametrize("tokens", TOKENS)
def test_the_selective_scan_of_any_length(tokens: int) -> None:
    """A single token is another kernel, and once crashed for want of a bias (mamba PR 796)."""
    agrees("selective_scan", selective(GROUPED, tokens), GROUPED.chunk)


@pytest.mark.parametrize("tokens", [1, 30])
@pytest.mark.parametrize("name", SELECTIVE)
def test_the_selective_scan_of_any_size(name: str, tokens: int) -> None:
    agrees("selective_scan", selective(SELECTIVE[name], tokens), SELECTIVE[name].chunk)


@pytest.mark.parametrize("memory", MEMORIES.values(), ids=MEMORIES)
@pytest.mark.parametrize("tokens", [1, 70])
def test_the_selective_scan_with_any_decay(tokens: int, memory: float) -> None:
    agrees("selective_scan", selective(GROUPED, tokens, memory), GROUPED.chunk)


@pytest.mark.parametrize("tokens", [*TOKENS, 127, 128, 129, 257, 300])
def test_the_diagonal_scan_of_any_length(tokens: int) -> None:
    """Around one chunk and beyond two, where the package's own chunked form is a race."""
    agrees("diagonal_scan", diagonal(tokens))


@pytest.mark.parametrize("memory", MEMORIES.values(), ids=MEMORIES)
@pytest.mark.parametrize("tokens", [65, 300])
def test_the_diagonal_scan_with_any_decay(tokens: int, memory: float) -> None:
    agrees("diagonal_scan", diagonal(tokens, memory))


def test_the_diagonal_scan_of_chunks_of_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """More chunks than a chunk has tokens, as from 16,385 tokens on."""
    monkeypatch.setattr(cuda, "SCANNED_TOKENS", 4)
    for tokens in (16, 17, 64, 70):
        agrees("diagonal_scan", diagonal(tokens, 30.0))


@pytest.mark.parametrize("tokens", [20, 300])
def test_the_diagonal_scan_where_a_state_ends(tokens: int) -> None:
    """A log decay of -10,000 or of minus infinity is a zero, and not one over zero."""
    log_decay_BTE, *rest = diagonal(tokens)
    log_decay_BTE[:, ::7] = -1e4
    log_decay_BTE[:, ::11] = float("-inf")
    agrees("diagonal_scan", (log_decay_BTE, *rest))


@pytest.mark.parametrize("tokens", TOKENS)
def test_weighted_key_values_of_any_length(tokens: int) -> None:
    agrees("weighted_key_values", weighted(TIME, tokens), TIME.chunk)


@pytest.mark.parametrize("tokens", [1, 70])
def test_weighted_key_values_of_odd_widths(tokens: int) -> None:
    agrees("weighted_key_values", weighted(ODD_TIME, tokens, rows=1), ODD_TIME.chunk)


@pytest.mark.parametrize("memory", MEMORIES.values(), ids=MEMORIES)
@pytest.mark.parametrize("tokens", [40, 70])
def test_weighted_key_values_with_any_decay(tokens: int, memory: float) -> None:
    agrees("weighted_key_values", weighted(TIME, tokens, memory, rows=2), TIME.chunk)


@pytest.mark.parametrize("tokens", [40, 70])
def test_weighted_key_values_with_all_decays_in_one_chunk(tokens: int) -> None:
    """From exp(-exp(-9)) to exp(-exp(4)) side by side: sums of logs reach thousands."""
    r, k, v, log_decay, *rest = weighted(TIME, tokens, rows=2)
    drawn = Draws.seeded(1).normal(*log_decay.shape)
    log_decay = log_decay.where(drawn.abs() < 1, -torch.where(drawn > 0, 4.0, -9.0).exp())
    agrees("weighted_key_values", (r, k, v, log_decay, *rest), TIME.chunk)


def transposed(x: Tensor) -> Tensor:
    """The same numbers, the last axis but one the fastest in memory."""
    return x.transpose(-1, -2).contiguous().transpose(-1, -2) if x.ndim > 1 else x


def sliced(x: Tensor) -> Tensor:
    """The same numbers, every second in memory."""
    return torch.stack([x, x], dim=-1)[..., 0]


def reversed_axes(x: Tensor) -> Tensor:
    """The same numbers, the first axis the fastest in memory."""
    axes = tuple(reversed(range(x.ndim)))
    return x.permute(axes).contiguous().permute(axes)


LAYOUTS = {"transposed": transposed, "sliced": sliced, "reversed": reversed_axes}


@pytest.mark.parametrize("tokens", [1, 40])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_selective_scan_in_any_layout(layout: str, tokens: int) -> None:
    arguments = tuple(map(LAYOUTS[layout], selective(GROUPED, tokens, rows=2)))
    agrees("selective_scan", arguments, GROUPED.chunk)


@pytest.mark.parametrize("tokens", [20, 150])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_diagonal_scan_in_any_layout(layout: str, tokens: int) -> None:
    agrees("diagonal_scan", tuple(map(LAYOUTS[layout], diagonal(tokens))))


@pytest.mark.parametrize("tokens", [20, 70])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_weighted_key_values_in_any_layout(layout: str, tokens: int) -> None:
    arguments = tuple(map(LAYOUTS[layout], weighted(TIME, tokens, rows=2)))
    agrees("weighted_key_values", arguments, TIME.chunk)


@pytest.mark.parametrize("tokens", [1, 70, 150])
def test_rows_that_share_one_state(tokens: int) -> None:
    """A forked state may be a view of one row; groups may share what they write."""
    *rest, state = diagonal(tokens)
    agrees("diagonal_scan", (*rest, state[:1].expand_as(state)))
    *rest, state = weighted(TIME, min(tokens, 70), rows=2)
    agrees("weighted_key_values", (*rest, state[:1].expand_as(state)), TIME.chunk)
    *first, rate, write, read, state = selective(GROUPED, min(tokens, 40), rows=2)
    shared = write[:, :, :1].expand_as(write), read, state[:1].expand_as(state)
    agrees("selective_scan", (*first, rate, *shared), GROUPED.chunk)


@pytest.mark.parametrize("configuration", [0, 5])
def test_another_configuration_gives_the_same(
    configuration: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which one autotuning takes differs from node to node."""
    monkeypatch.setattr(interpreter, "configuration", configuration)
    agrees("selective_scan", selective(GROUPED, 40, rows=1), GROUPED.chunk)
    agrees("diagonal_scan", diagonal(140, rows=1, width=70))
    agrees("weighted_key_values", weighted(TIME, 70, rows=1), TIME.chunk)
