"""Prompts read into slots: walk a schedule, copy at branches, hand over the last positions.

Knows decoders, states and segments; does not know text or how an answer is chosen.
"""

# Shapes: R rows of a batch, T tokens of one forward call, D width.
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from needlework.engine.interruption import Interruption
from needlework.engine.memory import out_of_memory_after
from needlework.engine.schedule import Batch, Limits
from needlework.engine.slots import Slots
from needlework.models.decoder import Decoder
from needlework.models.state import DecoderState
from needlework.tokenizers.prefixes import Segment, Tokens


@dataclass(frozen=True)
class Ready:
    """Prompts read to their end, one row each; none where there was no room for any."""

    prompts: tuple[int, ...]
    hidden_RD: Tensor
    """What the head reads at the last position."""
    start: int
    """The slot of the first; the others follow it."""


def prefill(
    decoder: Decoder,
    prompts: Sequence[Tokens],
    forest: Sequence[Segment],
    batches: Sequence[Batch],
    *,
    limits: Limits,
    slots: Slots,
    interruption: Interruption,
) -> Iterator[Ready]:
    """Read every prompt of the forest once; rows come out as they get ready.

    They lie in the slots behind those in use. Whoever takes them makes room for the next before
    asking again; a group without a prompt says that there was none left. An interruption ends it at
    the next forward call.

    Raises:
        DoesNotFitError: a forward call did not fit.
    """
    prefix = _Prefill(decoder, prompts, forest, limits, slots, interruption)
    for batch in batches:
        if interruption.requested:
            return
        kept = [index for index in batch.segments if prefix.goes_on(index)]
        yield from prefix.read_branches(kept)
        yield from prefix.read_ends([each for each in batch.segments if each not in kept])


class _Prefill:
    """What has been read of a forest and waits to be read on from."""

    def __init__(
        self,
        decoder: Decoder,
        prompts: Sequence[Tokens],
        forest: Sequence[Segment],
        limits: Limits,
        slots: Slots,
        interruption: Interruption,
    ) -> None:
        self.decoder = decoder
        self.prompts = prompts
        self.forest = forest
        self.limits = limits
        self.slots = slots
        self.interruption = interruption
        self.most = limits.read_together(max(map(len, prompts)))
        self.children = Counter(each.parent for each in forest if each.parent is not None)
        """Continuations of every branch that have not begun."""
        self.kept: dict[int, tuple[DecoderState, int | None, Tensor]] = {}
        """States of branches, their slots, and what the head would read at their ends."""

    def goes_on(self, index: int) -> bool:
        """Whether a segment is copied: into its continuations, or for prompts that are equal."""
        return index in self.children or len(self.forest[index].prompts) > 1

    def read_ends(self, segments: Sequence[int]) -> Iterator[Ready]:
        """Read segments with which one prompt each ends, as many together as there are slots."""
        while segments:
            if not self.slots.room:
                yield self._no_room()
                continue
            part, segments = self._part(segments, self.slots.room)
            start, storage = self.slots.used, self.slots.storage
            with out_of_memory_after(self.forest[part[0]].start):
                before = self.slots.begin(self._states_before(part))
            self._begun(part)
            reading, hidden, whole = self._read(part, before), list[Tensor](), False
            del before
            for rows, hidden_RD, after in reading:
                storage.put(start + rows.start, after.after_prompt())
                hidden.insert(0, hidden_RD)
                whole = rows.start == 0
                del after
            if not whole:
                return
            prompts = tuple(self.forest[index].prompts[0] for index in part)
            yield Ready(prompts, torch.cat(hidden), start)

    def read_branches(self, segments: Sequence[int]) -> Iterator[Ready]:
        """Read segments that are kept, and give rows to the prompts that end with them."""
        while segments:
            part, segments = self._part(segments, max(1, self.slots.room_kept))
            yield from self._read_kept(part)

    def _part(self, segments: Sequence[int], rows: int) -> tuple[Sequence[int], Sequence[int]]:
        """The first segments that can be read in so many slots, and the rest.

        A padded row goes on as long as the longest, so that one far on may not be read together
        with one that is far from its end.
        """
        start = length = count = 0
        for index in segments[: min(rows, self.most)]:
            each = self.forest[index]
            start, length = max(start, each.start), max(length, each.length)
            if count and start + length > self.slots.columns:
                break
            count += 1
        return segments[:count], segments[count:]

    def _read_kept(self, segments: Sequence[int]) -> Iterator[Ready]:
        """The same for segments that are read together."""
        with out_of_memory_after(self.forest[segments[0]].start):
            before, start = self.slots.begin_kept(self._states_before(segments))
        self._begun(segments)
        reading, ends = self._read(segments, before), list[int]()
        del before
        for rows, hidden_RD, after in reading:
            for row in rows:
                own = after.part(row - rows.start, row - rows.start + 1)
                slot = None if start is None else start + row
                if slot is None:
                    own = own.fork(1)
                else:
                    self.slots.storage.put(slot, own)
                    own = self.slots.storage.rows(slot, slot + 1)
                hidden_1D = hidden_RD[row - rows.start][None]
                self.kept[segments[row]] = own, slot, hidden_1D
                ends.append(segments[row])
            del after, own
        for index in ends:
            yield from self._hand_over(index)

    def _hand_over(self, index: int) -> Iterator[Ready]:
        """Rows for all prompts that end with a segment, with which it may end itself."""
        prompts = self.forest[index].prompts
        state, _, hidden_1D = self.kept[index]
        while prompts:
            some, prompts = prompts[: self.slots.room], prompts[self.slots.room :]
            if not some:
                yield self._no_room()
                continue
            start = self.slots.used
            with out_of_memory_after(self.forest[index].end):
                copies = self.slots.begin([state] * len(some))
                self.slots.storage.put(start, copies.after_prompt())
                del copies
            yield Ready(some, hidden_1D.expand(len(some), -1), start)
        if index not in self.children:
            self._release(index)

    def _no_room(self) -> Ready:
        return Ready((), self.decoder.embedding.weight.new_zeros(0), self.slots.used)

    def _states_before(self, segments: Sequence[int]) -> list[DecoderState | None]:
        """What the parent of every segment left behind; None where there is no parent."""
        parents = [self.forest[index].parent for index in segments]
        return [None if above is None else self.kept[above][0] for above in parents]

    def _begun(self, segments: Sequence[int]) -> None:
        """Forget the branches from which nothing more will go on."""
        for index in segments:
            above = self.forest[index].parent
            if above is not None:
                self.children[above] -= 1
                if not self.children[above]:
                    self._release(above)

    def _release(self, index: int) -> None:
        _, slot, hidden_1D = self.kept.pop(index)
        if slot is not None:
            self.slots.release(slot, spoiled=not bool(hidden_1D.isfinite().all()))

    def _read(
        self, segments: Sequence[int], before: DecoderState
    ) -> Iterator[tuple[range, Tensor, DecoderState]]:
        """See `read`."""
        parts = [self.forest[index] for index in segments]
        return read(
            self.decoder,
            [self.prompts[each.prompt][each.start : each.end] for each in parts],
            before,
            limits=self.limits,
            start=parts[0].start,
            interruption=self.interruption,
        )


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
                ended, state = state.part(going_on, live), state.part(0, going_on)
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
