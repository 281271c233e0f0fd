"""How often the host launches something, and how much memory that moves, for the checkpoints."""

# Shapes: B batch, T tokens.
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple
from unittest import mock

import torch
from torch import Tensor

from benchmarks.counting import Tally, as_on_a_gpu, counted
from needlework.cost.published import published
from needlework.models import kernels
from needlework.models.allocation import allocate
from needlework.models.attention import AttentionState
from needlework.models.config import MLP, ChannelMix, DecoderConfig
from needlework.models.decoder import Decoder
from needlework.models.state import DecoderState, LayerState

PROMPT = 3072
"""Tokens of the prompt that is read."""
FLASH = "flash_attn"


class Counts(NamedTuple):
    """One decoder."""

    checkpoint: str
    blocks: int
    """Layers as papers count them: mixers of tokens, each with the mixer of channels behind it."""
    prefill: Tally
    step: Tally
    unequal: Tally
    """A step of rows that have read unequally much."""
    tokens: int
    """Of the prompts of all rows."""


def counts(checkpoints: Sequence[str], *, rows: int, flash: bool) -> Iterator[Counts]:
    """Every decoder that is not like one before, in bfloat16; with flash-attn or without."""
    seen: set[DecoderConfig] = set()
    here = kernels.installed

    def installed(module: str) -> bool:
        return here(module) and (flash or module != FLASH)

    with as_on_a_gpu(), mock.patch.object(kernels, "installed", installed):
        for name in checkpoints:
            spec = published(name)
            assert spec is not None
            shape = spec.model_copy(update={"vocabulary": 1, "padded_vocabulary": 1})
            if shape not in seen:
                seen.add(shape)
                yield _count(name, spec, rows)


def _count(name: str, spec: DecoderConfig, rows: int) -> Counts:
    with torch.device("meta"):
        decoder = Decoder(spec)
    allocate(decoder, "meta", torch.bfloat16)
    blocks = sum(not isinstance(layer, MLP | ChannelMix) for layer in spec.layers)
    nothing = decoder.init_state(rows)
    with counted() as prefill:
        _, state = decoder.read(_tokens(rows, PROMPT), nothing)
    with counted() as step:
        _write(decoder, state, rows)
    with counted() as unequal:
        _write(decoder, _unequal(state), rows)
    return Counts(name, blocks, prefill, step, unequal, rows * PROMPT)


def _tokens(rows: int, tokens: int) -> Tensor:
    return torch.empty(rows, tokens, dtype=torch.long, device="meta")


def _write(decoder: Decoder, state: DecoderState, rows: int) -> None:
    """A step, to its logits; what chooses a token of them is the same for all."""
    hidden_RD, _ = decoder.write(_tokens(rows, 1), state)
    decoder.logits(hidden_RD)


def _unequal(state: DecoderState) -> DecoderState:
    """The same, as if its rows had been read to different ends."""

    def told(layer: LayerState) -> LayerState:
        if isinstance(layer, AttentionState):
            return replace(layer, cache=replace(layer.cache, uniform=False))
        return layer

    return DecoderState(tuple(map(told, state.layers)))


def table(found: Sequence[Counts]) -> str:
    """The counts as Markdown; of a checkpoint like one before, only the first is there."""
    lines = [
        "| checkpoint | layers | launches of a prompt | kB moved beside products, a token and layer"
        " | launches of a step | of unequal rows | launches of a step and layer |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for each in found:
        moved = each.prefill.moved.total() / each.tokens / each.blocks / 1000
        step = each.step.launches.total()
        lines.append(
            f"| {each.checkpoint} | {each.blocks} | {each.prefill.launches.total():,} "
            f"| {moved:,.0f} | {step:,} | {each.unequal.launches.total():,} "
            f"| {step / each.blocks:.1f} |"
        )
    return "\n".join(lines) + "\n"


def details(found: Sequence[Counts]) -> str:
    """What is launched in a prompt and in a step, by name, a layer; as Markdown."""
    lines = ["| checkpoint | launched | a prompt and layer | kB a token | a step and layer |"]
    lines.append("|---|---|--:|--:|--:|")
    for each in found:
        for name in {**each.prefill.launches, **each.step.launches}:
            moved = each.prefill.moved[name] / each.tokens / each.blocks / 1000
            prompt, step = (part.launches[name] / each.blocks for part in each[2:4])
            lines.append(
                f"| {each.checkpoint} | {name} | {prompt:.2f} | {moved:.1f} | {step:.2f} |"
            )
    return "\n".join(lines) + "\n"
