"""What slots mean, said slowly: every row a state of its own, copied whenever rows change."""

import random
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from needlework.engine.slots import Slots
from needlework.models.attention import AttentionState
from needlework.models.config import Attention
from needlework.models.decoder import Decoder
from needlework.models.key_values import KeyValueBuffer, KeyValueState
from needlework.models.slots import DecoderSlots
from needlework.models.state import DecoderState

PROMPT, ANSWER, ROWS, KEPT = 30, 12, 7, 3
VOCABULARY = 40


class Copies(DecoderSlots):
    """Rows side by side are put together anew each time that anybody looks at them."""

    def __init__(self, decoder: Decoder, rows: int) -> None:
        super().__init__([])
        self.decoder = decoder
        self.states = [decoder.init_state(1)] * rows

    def begin(self, start: int, states: Sequence[DecoderState]) -> DecoderState:
        del start
        return DecoderState.stack(states)

    def put(self, start: int, state: DecoderState) -> None:
        for row in range(rows_of(state)):
            self.states[start + row] = self._seen(state.select(torch.tensor([row])))

    def rows(self, start: int, stop: int) -> DecoderState:
        return DecoderState.stack(self.states[start:stop])

    def keep(self, state: DecoderState, order: Sequence[int]) -> None:
        kept = [state.select(torch.tensor([old])) for old in order]
        self.states[: len(kept)] = kept

    def clear(self, slot: int) -> None:
        self.states[slot] = self.decoder.init_state(1)

    def wipe(self, start: int, stop: int) -> None:
        del start, stop

    def _seen(self, state: DecoderState) -> DecoderState:
        """The same without what a window has hidden."""
        layers = list(state.layers)
        for index, (layer, spec) in enumerate(zip(layers, self.decoder.config.layers, strict=True)):
            if isinstance(layer, AttentionState):
                assert isinstance(spec, Attention)
                layers[index] = replace(layer, cache=seen(layer.cache, spec.window))
        return DecoderState(tuple(layers))


def seen(cache: KeyValueState, window: int | None) -> KeyValueState:
    """Of one row, the columns that a window sees."""
    if window is None or cache.longest <= window:
        return cache
    keys, values = (each[:, :, -window:].clone() for each in cache.columns(cache.longest))
    length_B = torch.full_like(cache.length_B, window)
    buffer = KeyValueBuffer(keys, values)
    return KeyValueState(buffer, 0, length_B, cache.position_B, window, True)


def rows_of(state: DecoderState) -> int:
    """How many rows a state has."""
    for layer in state.layers:
        if isinstance(layer, AttentionState):
            return len(layer.cache.length_B)
        if tensors := layer.tensors:  # type: ignore[attr-defined]
            return len(tensors[0])
    raise AssertionError("nothing is remembered")


def slots_of(decoder: Decoder) -> Slots:
    return Slots(decoder, answers=ROWS, kept=KEPT, total=ROWS + KEPT, prompt=PROMPT, answer=ANSWER)


def drawn(draws: random.Random, rows: int, tokens: int) -> Tensor:
    return torch.tensor([[draws.randrange(VOCABULARY) for _ in range(tokens)] for _ in range(rows)])


class Play:
    """Joins, steps and leaves in a random order, the same for whoever has the same draws."""

    def __init__(self, decoder: Decoder, slots: Slots, seed: int) -> None:
        self.decoder, self.slots, self.draws = decoder, slots, random.Random(seed)
        self.found: list[Tensor] = []
        self.kept: list[tuple[DecoderState, int]] = []
        self.ages: list[int] = []
        self.state: DecoderState | None = None

    def run(self, turns: int = 30) -> list[Tensor]:
        for _ in range(turns):
            turn = self.draws.choice([self.branch, self.join, self.step, self.step, self.leave])
            with torch.inference_mode():
                turn()
        return self.found

    def read(self, state: DecoderState, rows: int, tokens: int) -> tuple[Tensor, DecoderState]:
        """Two pieces, the second of unequal length, the rows of the first piece apart after it."""
        first = self.draws.randrange(1, tokens)
        _, state = self.decoder.read(drawn(self.draws, rows, first), state)
        lengths = [self.draws.randrange(1, tokens - first + 1) for _ in range(rows)]
        rest = drawn(self.draws, rows, max(lengths))
        equal = len(set(lengths)) == 1
        return self.decoder.read(rest, state, None if equal else torch.tensor(lengths))

    def branch(self) -> None:
        """A prefix is read and kept, or the oldest one given back."""
        if len(self.kept) == KEPT:
            self.slots.release(self.kept.pop(0)[1])
            return
        before, slot = self.slots.begin_kept([None])
        if slot is None:
            return
        hidden, after = self.read(before, 1, self.draws.randrange(2, PROMPT // 2))
        self.slots.storage.put(slot, after)
        self.kept.append((self.slots.storage.rows(slot, slot + 1), slot))
        self.found.append(hidden)

    def join(self) -> None:
        """Some prompts are read, with prefixes and without, and join the others."""
        self.settle(list(range(len(self.ages))))
        count = min(self.slots.room, self.draws.randrange(1, 4))
        if count:
            start = self.slots.used
            prefixes = [self.draws.choice([None, *self.kept]) for _ in range(count)]
            before = self.slots.begin([each and each[0] for each in prefixes])
            hidden, after = self.read(before, count, PROMPT // 2)
            self.found.append(hidden)
            cut = self.draws.randrange(count)
            for part in ((cut, count), (0, cut)):
                self.slots.storage.put(start + part[0], after.part(*part).after_prompt())
            self.ages += [0] * count
        self.state = self.slots.storage.rows(0, self.slots.used) if self.slots.used else None

    def step(self) -> None:
        """One token more in every row, unless one has no room for it."""
        if self.state is None or max(self.ages) == ANSWER:
            return
        tokens = drawn(self.draws, len(self.ages), 1)
        hidden, self.state = self.decoder.write(tokens, self.state)
        self.ages = [age + 1 for age in self.ages]
        self.found.append(hidden)

    def leave(self) -> None:
        """Some rows go, the last ones take their places."""
        if self.state is None:
            return
        count = self.draws.randrange(len(self.ages))
        places = sorted(self.draws.sample(range(len(self.ages)), count))
        behind = [place for place in places if place >= count]
        self.settle([row if row in places else behind.pop() for row in range(count)])
        self.state = self.slots.storage.rows(0, count) if count else None

    def settle(self, order: list[int]) -> None:
        if self.state is not None:
            self.slots.compact(self.state, order)
            self.ages = [self.ages[old] for old in order]


def plays(decoder: Decoder, *, seed: int) -> tuple[list[Tensor], list[Tensor]]:
    """What slots and what copies give of one play."""
    with torch.inference_mode():
        slots, copies = slots_of(decoder), slots_of(decoder)
    copies.storage = Copies(decoder, ROWS + KEPT)
    return Play(decoder, slots, seed).run(), Play(decoder, copies, seed).run()
