"""How far two results of one computation are from each other."""

from collections.abc import Iterator, Sequence
from dataclasses import fields

import torch
from torch import Tensor

from needlework.models.attention import AttentionState
from needlework.models.state import DecoderState, RowState


def share(actual: Tensor, expected: Tensor) -> float:
    """The largest difference as a share of the largest expected number; NaN if one is not finite.

    Of one shape only: what broadcasts is not equal.
    """
    if actual.shape != expected.shape or not bool(actual.isfinite().all()):
        return float("nan")
    largest = expected.double().abs().max().clamp(min=torch.finfo(torch.float64).tiny)
    return float((actual.double() - expected.double()).abs().max() / largest)


def largest_share(actual: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The largest `share` of several results; NaN if one is not finite."""
    shares = torch.tensor([share(*pair) for pair in zip(actual, expected, strict=True)])
    return float(shares.max())


def state_tensors(state: object) -> Iterator[Tensor]:
    """Every floating tensor of a state, of a cache the columns in use, row by row."""
    if isinstance(state, DecoderState):
        for each in state.layers:
            yield from state_tensors(each)
    elif isinstance(state, AttentionState):
        for row, length in enumerate(state.cache.length_B.tolist()):
            yield state.cache.keys_BHSP[row, :, :length]
            yield state.cache.values_BHSP[row, :, :length]
        yield from state_tensors(state.tail)
    elif isinstance(state, RowState):
        tensors = (getattr(state, field.name) for field in fields(state))
        yield from (each for each in tensors if each.is_floating_point() and each.numel())
