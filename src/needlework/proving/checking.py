"""Layers of published sizes, computed by kernels, against the same layers in float64.

Not yet run on a GPU.
"""

# Shapes: B batch, T tokens, D width.
import copy
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from needlework.errors import EngineError
from needlework.models import kernels
from needlework.models.attention import AttentionState
from needlework.models.config import Attention, MixerConfig
from needlework.models.mixer import Mixer
from needlework.models.random_weights import random_layer
from needlework.models.state import DecoderState, RowState
from needlework.proving.records import Check, Checks
from needlework.proving.steps import Scale, layers

SHARE = {"float32": 5e-3, "bfloat16": 3e-2}
"""Largest difference over the largest number: kernels multiply float32 with 10 bits of precision
(TF32), bfloat16 has 8. Where torch alone is as far from float64, twice its distance is allowed."""
LATITUDE = 2.0
ROWS = 3
FIRST = 37
"""Tokens of a call before, so that no checked call starts from an empty state."""
PADDED = (70, 1, 33)
"""Valid tokens of the rows of a call after."""
SINGLES = 3
"""Calls of one token at the end, as answers are written."""

Calls = list[tuple[Tensor, tuple[int, ...] | None]]
"""Inputs of shape (B, T, D), and the valid tokens of every row where they differ."""


@torch.inference_mode()
def check_kernels(scale: Scale, name: str) -> Checks:
    """A layer after prompts of every length: outputs and final states, valid tokens alone."""
    width, spec = layers(scale)[name]
    found = []
    for dtype in scale.dtypes:
        stored: torch.dtype = getattr(torch, dtype)
        layer = random_layer(spec, width, device=scale.device, dtype=stored)
        exact = copy.deepcopy(layer).double()
        chosen = chosen_for(spec, torch.device(scale.device), stored)
        for tokens in scale.tokens:
            calls = _calls(width, tokens, scale.device, stored)
            expected = _run(exact, calls)
            actual = _run(layer, calls)
            by_torch = actual
            if set(chosen.values()) != {kernels.TORCH}:
                with kernels.only_torch():
                    by_torch = _run(layer, calls)
            found.append(_check("prompt", dtype, tokens, expected, actual, by_torch))
    return Checks(layer=name, kernels=_kernels(spec, scale), checks=tuple(found))


@torch.inference_mode()
def check_long(scale: Scale, name: str) -> Checks:
    """One long call of a layer against torch in pieces: outputs and final states.

    A window makes a mask of all pairs where nothing faster serves, so there calls are as long as
    the engine's. A report of wrong results of mamba_ssm past 61K tokens is open (state-spaces/mamba
    1015).
    """
    width, spec = layers(scale)[name]
    # In float32 only recurrences have kernels that read so much at once.
    dtype = scale.dtype if isinstance(spec, Attention) else "float32"
    layer = random_layer(spec, width, device=scale.device, dtype=getattr(torch, dtype))
    windowed = isinstance(spec, Attention) and spec.window is not None
    found = []
    for tokens in scale.long:
        torch.manual_seed(tokens)
        x_BTD = torch.randn(1, tokens, width, device=scale.device, dtype=getattr(torch, dtype))
        actual = _read(layer, x_BTD, scale.call if windowed else tokens)
        with kernels.only_torch():
            expected = _read(layer, x_BTD, scale.piece)
        found.append(_check("pieces", dtype, tokens, expected, actual, actual))
        del x_BTD, actual, expected
    return Checks(layer=name, kernels=_kernels(spec, scale), checks=tuple(found))


def _calls(width: int, tokens: int, device: str, dtype: torch.dtype) -> Calls:
    """A prompt of so many tokens in the middle of other calls."""
    torch.manual_seed(tokens)
    lengths = [(FIRST, None), (tokens, None), (max(PADDED), PADDED), *[(1, None)] * SINGLES]
    return [
        (torch.randn(ROWS, length, width, device=device, dtype=dtype), valid)
        for length, valid in lengths
    ]


def _run(layer: Mixer[Any], calls: Calls) -> list[Tensor]:
    """What the layer gives at valid tokens, call by call, and what it remembers at the end.

    Raises:
        EngineError: it changed a state that was handed to it.
    """
    # Some parameters are float32 in half precision as well, but all are float64 or none is.
    wide = next(layer.parameters()).dtype is torch.float64
    state, found = layer.init_state(ROWS), []
    for x_BTD, valid in calls:
        lengths_B = None if valid is None else torch.tensor(valid, device=x_BTD.device)
        before = [] if wide else [each.clone() for each in state_tensors(state)]
        y_BTD, after = layer(x_BTD.double() if wide else x_BTD, state, lengths_B)
        if not all(map(torch.equal, before, state_tensors(state))):
            raise EngineError(f"a call of {x_BTD.shape[1]} tokens changed the state it was given")
        ends = valid or (x_BTD.shape[1],) * ROWS
        found += [y_BTD[row, :end] for row, end in enumerate(ends)]
        state = after
    return [*found, *state_tensors(state)]


def _read(layer: Mixer[Any], x_BTD: Tensor, step: int) -> list[Tensor]:
    """The same for one sequence, `step` tokens a call."""
    state, found = layer.init_state(1), []
    for piece_BTD in torch.split(x_BTD, step, dim=1):
        y_BTD, state = layer(piece_BTD, state, None)
        found.append(y_BTD)
    return [torch.cat(found, dim=1), *state_tensors(state)]


def _check(
    what: str,
    dtype: str,
    tokens: int,
    expected: list[Tensor],
    actual: list[Tensor],
    by_torch: list[Tensor],
) -> Check:
    difference = largest_share(actual, expected)
    torchs = difference if by_torch is actual else largest_share(by_torch, expected)
    allowed = SHARE[dtype] if by_torch is actual else max(SHARE[dtype], LATITUDE * torchs)
    return Check(
        what=what,
        dtype=dtype,
        tokens=tokens,
        difference=difference,
        by_torch=torchs,
        allowed=allowed,
    )


def _kernels(spec: MixerConfig, scale: Scale) -> dict[str, str]:
    return chosen_for(spec, torch.device(scale.device), getattr(torch, scale.dtype))


def chosen_for(spec: MixerConfig, device: torch.device, dtype: torch.dtype) -> dict[str, str]:
    """Who computes the operations of a layer; nothing for a layer without any."""
    return {what: kernels.chosen(what, device, dtype) for what in spec.operations}


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
