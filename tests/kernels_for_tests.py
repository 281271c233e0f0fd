"""Where kernels and torch have to agree: what both are given, and how far apart they come out.

Runs on any device at any size: tiny through Triton's interpreter, as published on a GPU.
"""

# Shapes: B batch, T tokens, D width, E recurrent width, H heads, G groups, P channels per head,
# N state channels, K = V channels per head (RWKV).
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from needlework.models import config, cuda, kernels, rglru, rwkv6, ssd
from needlework.models.decoder import Decoder
from needlework.models.layer import Operation
from needlework.models.mixer import Mixer
from needlework.proving.checking import largest_share, share, state_tensors

Arguments = tuple[Tensor, ...]
Scan = Callable[..., tuple[Tensor, Tensor]]


def _selective_kernel(
    x_BTHP: Tensor, raw_BTH: Tensor, bias_H: Tensor, skip_H: Tensor, *rest: Tensor, chunk: int
) -> tuple[Tensor, Tensor]:
    return cuda.selective_scan(x_BTHP, cuda.Steps(raw_BTH, bias_H, skip_H), *rest, chunk=chunk)


def _selective_by_torch(
    x_BTHP: Tensor, raw_BTH: Tensor, bias_H: Tensor, skip_H: Tensor, *rest: Tensor, chunk: int
) -> tuple[Tensor, Tensor]:
    step_BTH = F.softplus(raw_BTH + bias_H)
    y_BTHP, state_BHPN = ssd.selective_scan(x_BTHP, step_BTH, *rest, chunk=chunk)
    return y_BTHP + x_BTHP * skip_H[:, None], state_BHPN


SCANS: dict[Operation, tuple[Callable[[], Scan], Scan]] = {
    "selective_scan": (lambda: _selective_kernel, _selective_by_torch),
    "diagonal_scan": (lambda: cuda.diagonal_scan, rglru.diagonal_scan),
    "weighted_key_values": (lambda: cuda.weighted_key_values, rwkv6.weighted_key_values),
}
"""The recurrences: the kernel, looked up when it is called, and torch with the same contract."""
CONTINUED_TOKENS = 70
"""Tokens of the longest row of a padded continuation."""
SINGLE_TOKENS = 3


@dataclass(frozen=True)
class Draws:
    """Random numbers of any shape, the same on every device."""

    device: torch.device
    dtype: torch.dtype
    generator: torch.Generator

    @classmethod
    def seeded(
        cls, seed: int, *, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
    ) -> "Draws":
        """Draws that begin at `seed`; `dtype` is that of half-precision arguments."""
        return cls(torch.device(device), dtype, torch.Generator().manual_seed(seed))

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers in float32."""
        return torch.randn(shape, generator=self.generator).to(self.device)

    def spread(self, middle: float, *shape: int) -> Tensor:
        """Numbers from half to twice the middle, in float32."""
        return middle * 2 ** (2 * torch.rand(shape, generator=self.generator) - 1).to(self.device)


def selective_scan_arguments(
    layer: config.SSD, rows: int, tokens: int, *, memory: float = 1.0, draws: Draws
) -> Arguments:
    """What a Mamba2 mixer hands to its scan: slices of one tensor, and a state that is not zero.

    A state fades to 1/e in about `memory` tokens. Rows but the first are padded: they take no step
    at the end. Steps, their bias and what skips the scan stand behind the inputs.
    """
    heads, groups = layer.heads, layer.groups
    inner, shared = heads * layer.head_width, groups * layer.state
    mixed = draws.normal(rows, tokens, inner + 2 * shared).to(draws.dtype)
    x_BTE, write, read = torch.split(mixed, [inner, shared, shared], dim=-1)
    raw_BTH = draws.normal(rows, tokens, heads).to(draws.dtype)
    _clear_padding(raw_BTH, to=float("-inf"))
    return (
        torch.unflatten(x_BTE, 2, (heads, -1)),
        raw_BTH,
        draws.normal(heads),
        draws.normal(heads),
        -draws.spread(1 / memory, heads),
        torch.unflatten(write, 2, (groups, -1)),
        torch.unflatten(read, 2, (groups, -1)),
        draws.normal(rows, heads, layer.head_width, layer.state),
    )


def diagonal_scan_arguments(
    width: int, rows: int, tokens: int, *, memory: float = 1.0, draws: Draws
) -> Arguments:
    """What a recurrent block of Griffin hands to its scan; see `selective_scan_arguments`."""
    log_decay_BTE = -draws.spread(1 / memory, rows, tokens, width)
    input_BTE = draws.normal(rows, tokens, width)
    _clear_padding(log_decay_BTE, input_BTE)
    return log_decay_BTE, input_BTE, draws.normal(rows, width)


def weighted_key_values_arguments(
    layer: config.TimeMix, rows: int, tokens: int, *, memory: float = 1.0, draws: Draws
) -> Arguments:
    """What a time mix of RWKV-6 hands to its recurrence; see `selective_scan_arguments`."""
    heads = (layer.heads, layer.head_width)
    r, k, v = (draws.normal(rows, tokens, *heads).to(draws.dtype) for _ in range(3))
    log_decay_BTHK = -draws.spread(1 / memory, rows, tokens, *heads)
    _clear_padding(log_decay_BTHK, k)
    bonus_HK, state_BHKV = draws.normal(*heads), draws.normal(rows, *heads, layer.head_width)
    return r, k, v, log_decay_BTHK, bonus_HK, state_BHKV


def _clear_padding(*sequences: Tensor, to: float = 0.0) -> None:
    """One value behind the last valid token: row b has a (b + 1)th of all tokens, at least one."""
    for sequence in sequences:
        for row in range(1, len(sequence)):
            sequence[row, max(1, sequence.shape[1] // (row + 1)) :] = to


@dataclass(frozen=True)
class Difference:
    """How far a kernel is from torch."""

    outputs: float
    """Largest difference as a share of the largest output; NaN where one is not finite."""
    state: float
    """The same for the final state."""
    faults: tuple[str, ...]
    """What a kernel must never do: another shape or dtype, or an argument changed in place."""

    def within(self, share: float) -> bool:
        """Whether nothing is at fault and neither differs by more than this share."""
        return not self.faults and self.outputs <= share and self.state <= share


def scan_difference(
    operation: Operation, arguments: Arguments, *, chunk: int | None = None
) -> Difference:
    """How far the kernel of a recurrence is from torch in float64, both given these arguments."""
    settings = {} if chunk is None else {"chunk": chunk}
    kernel, by_torch = SCANS[operation]
    kept = [each.clone() for each in arguments]
    found = kernel()(*arguments, **settings)
    exact = by_torch(*(each.double() for each in arguments), **settings)
    faults = []
    for name, ours, wanted in zip(("outputs", "state"), found, exact, strict=True):
        if ours.shape != wanted.shape:
            faults.append(f"{name} of shape {tuple(ours.shape)}, not {tuple(wanted.shape)}")
    dtypes = arguments[0].dtype, arguments[-1].dtype
    if (found[0].dtype, found[1].dtype) != dtypes:
        faults.append(f"outputs and state in {found[0].dtype} and {found[1].dtype}, not {dtypes}")
    if not all(torch.equal(now, then) for now, then in zip(arguments, kept, strict=True)):
        faults.append("an argument was changed in place")
    return Difference(share(found[0], exact[0]), share(found[1], exact[1]), tuple(faults))


def layer_results(layer: Mixer[Any], width: int, *, rows: int, tokens: int) -> list[Tensor]:
    """Outputs of a prompt, of a padded continuation and of single tokens, and all states' tensors.

    Inputs are drawn in the dtype of the layer on its device.
    """
    like = next(each for name, each in layer.named_parameters() if name not in layer.wide)
    draws = Draws.seeded(1, device=like.device)
    lengths = [max(1, CONTINUED_TOKENS // (row + 1)) for row in range(rows)]
    lengths_B = torch.tensor(lengths, device=like.device)

    def inputs(count: int) -> Tensor:
        return draws.normal(rows, count, width).to(like.dtype)

    outputs, state = layer(inputs(tokens), layer.init_state(rows), None)
    results = [outputs, *state_tensors(state)]
    outputs, state = layer(inputs(CONTINUED_TOKENS), state, lengths_B)
    results += [row[:length] for row, length in zip(outputs, lengths, strict=True)]
    results += state_tensors(state)
    for _ in range(SINGLE_TOKENS):
        outputs, state = layer(inputs(1), state, None)
        results.append(outputs)
    return [*results, *state_tensors(state)]


def decoder_results(decoder: Decoder, *, tokens: int) -> list[Tensor]:
    """Logits and states of a decoder that is asked as the engine asks it.

    A prompt is read, forked into two rows that continue unequally long, and both write single
    tokens.
    """
    device = decoder.embedding.weight.device
    generator = torch.Generator().manual_seed(1)

    def drawn(rows: int, count: int) -> Tensor:
        shape = (rows, count)
        return torch.randint(decoder.config.vocabulary, shape, generator=generator).to(device)

    _, state = decoder.read(drawn(1, tokens), decoder.init_state(1))
    results = [*state_tensors(state)]
    lengths = [CONTINUED_TOKENS, CONTINUED_TOKENS // 2]
    logits, state = decoder(
        drawn(2, CONTINUED_TOKENS), state.fork(2), torch.tensor(lengths, device=device)
    )
    results += [row[:length] for row, length in zip(logits, lengths, strict=True)]
    for _ in range(SINGLE_TOKENS):
        logits, state = decoder(drawn(2, 1), state)
        results.append(logits)
    return [*results, *state_tensors(state)]


def difference_from_torch(run: Callable[[], Sequence[Tensor]]) -> float:
    """The largest share by which `run` differs with kernels and with torch alone."""
    found = run()
    with kernels.only_torch():
        return largest_share(found, run())
