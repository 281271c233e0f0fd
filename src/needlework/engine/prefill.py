"""Prompts read into states: walk a schedule, fork at branches, hand over the last positions.

Knows decoders, states and segments; does not know text or how an answer is chosen.
"""

# Shapes: R rows of a batch, T tokens of one forward call, D width.
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from needlework.engine.interruption import Interruption
from needlework.engine.memory import out_of_memory_after
from needlework.engine.schedule import Limits, schedule
from needlework.models.decoder import Decoder
from needlework.models.state import DecoderState
from needlework.tokenizers.prefixes import Segment, Tokens


@dataclass(frozen=True)
class Ready:
    """Prompts read to their end, one row each."""

    prompts: tuple[int, ...]
    hidden_RD: Tensor
    """What the head reads at the last position."""
    state: DecoderState


def prefill(
    decoder: Decoder,
    prompts: Sequence[Tokens],
    forest: Sequence[Segment],
    *,
    limits: Limits,
    interruption: Interruption,
) -> Iterator[Ready]:
    """Read every prompt of the forest once; rows come out as they get ready.

    An interruption ends it at the next forward call.

    Raises:
        DoesNotFitError: a forward call did not fit.
    """
    branches = {segment.parent for segment in forest}
    kept: dict[int | None, DecoderState] = {}
    for batch in schedule(forest, limits):
        if interruption.requested:
            return
        segments = [forest[index] for index in batch.segments]
        tokens = [prompts[each.prompt][each.start : each.end] for each in segments]
        start = segments[0].start
        with out_of_memory_after(start):
            before = _states_before(decoder, segments, kept)
        for index in batch.releases:
            del kept[index]
        reading = read(
            decoder, tokens, before, limits=limits, start=start, interruption=interruption
        )
        del before
        for rows, hidden_RD, after in reading:
            for row, index in enumerate(batch.segments[rows.start : rows.stop]):
                if index in branches:
                    kept[index] = after.select(_index([row], hidden_RD))
            ready = _ready(segments[rows.start : rows.stop], hidden_RD, after)
            del after
            if ready.prompts:
                yield ready


def read(
    decoder: Decoder,
    tokens: Sequence[Tokens],
    state: DecoderState,
    *,
    limits: Limits,
    start: int = 0,
    interruption: Interruption | None = None,
) -> Iterator[tuple[range, Tensor, DecoderState]]:
    """Read one sequence per row, longest first, a bounded number of tokens at a time.

    Yields the rows that end in a forward call, the hidden states of shape (R, D) at their last
    tokens, and their states. Memory does not grow with the sequences, states aside. `start` is what
    the first row has read before.

    Raises:
        DoesNotFitError: a forward call did not fit.
    """
    step = min(limits.chunk, max(1, limits.tokens // len(tokens)))
    live = len(tokens)
    for begin in range(0, len(tokens[0]), step):
        if interruption is not None and interruption.requested:
            return
        pieces = [sequence[begin : begin + step] for sequence in tokens[:live]]
        going_on = sum(len(sequence) > begin + step for sequence in tokens[:live])
        with out_of_memory_after(start + begin):
            hidden_RD, state = _read_piece(decoder, pieces, state)
            if going_on == live:
                continue
            ended = state
            if going_on:
                ended = state.select(_index(range(going_on, live), hidden_RD))
                state = state.select(_index(range(going_on), hidden_RD))
        yield range(going_on, live), hidden_RD[going_on:], ended
        live = going_on


def _read_piece(
    decoder: Decoder, pieces: Sequence[Tokens], state: DecoderState
) -> tuple[Tensor, DecoderState]:
    """One forward call over pieces of any length, padded on the right; hidden at their ends."""
    lengths = [len(piece) for piece in pieces]
    tokens = np.zeros((len(pieces), max(lengths)), dtype=np.int64)
    for row, piece in enumerate(pieces):
        tokens[row, : len(piece)] = piece
    device = decoder.embedding.weight.device
    tokens_RT = torch.from_numpy(tokens).to(device)
    lengths_R = torch.tensor(lengths, device=device)
    equal = min(lengths) == max(lengths)
    return decoder.read(tokens_RT, state, None if equal else lengths_R)


def _states_before(
    decoder: Decoder, segments: Sequence[Segment], kept: Mapping[int | None, DecoderState]
) -> DecoderState:
    """One row for every segment: what its parent left behind."""
    parents = [segment.parent for segment in segments]
    if not any(parent is not None for parent in parents):
        return decoder.init_state(len(segments))
    nothing = decoder.init_state(1)
    return type(nothing).stack([nothing if each is None else kept[each] for each in parents])


def _ready(segments: Sequence[Segment], hidden_RD: Tensor, state: DecoderState) -> Ready:
    """A row for every prompt that ends with one of the segments; equal prompts get copies."""
    ends = [(row, prompt) for row, each in enumerate(segments) for prompt in each.prompts]
    prompts = tuple(prompt for _, prompt in ends)
    rows = [row for row, _ in ends]
    if rows == list(range(len(segments))):
        return Ready(prompts, hidden_RD, state.after_prompt())
    index = _index(rows, hidden_RD)
    return Ready(prompts, hidden_RD[index], state.select(index).after_prompt())


def _index(rows: Sequence[int], like: Tensor) -> Tensor:
    return torch.tensor(list(rows), dtype=torch.long, device=like.device)
