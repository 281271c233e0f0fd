"""Slots against their slow definition, and what must never reach the next row of a slot."""

import random

import pytest
import torch
from torch import Tensor

from needlework.cost.formulas import costs
from needlework.cost.room import UNSEEN, Cell
from needlework.engine.slots import Slots
from needlework.models.attention import AttentionState
from needlework.models.decoder import Decoder
from needlework.models.state import DecoderState
from tests.models_for_tests import FAMILIES, SPECS, family
from tests.slots_for_tests import Copies

PROMPT, ANSWER, ROWS, KEPT = 30, 12, 7, 3
TOLERANCE = dict.fromkeys(FAMILIES, 0.0) | {"griffin": 1e-5}
"""To the byte; a window drops old columns at other times, so that sums begin at other columns."""


def slots_of(decoder: Decoder) -> Slots:
    return Slots(decoder, answers=ROWS, kept=KEPT, total=ROWS + KEPT, prompt=PROMPT, answer=ANSWER)


def drawn(draws: random.Random, rows: int, tokens: int) -> Tensor:
    return torch.tensor([[draws.randrange(40) for _ in range(tokens)] for _ in range(rows)])


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


def told(name: str, seed: int) -> tuple[list[Tensor], list[Tensor]]:
    """What slots and what copies give of one play."""
    decoder = family(name, dtype=torch.float32)
    copies = slots_of(decoder)
    copies.storage = Copies(decoder, ROWS + KEPT)
    with torch.inference_mode():
        slots = slots_of(decoder)
    return Play(decoder, slots, seed).run(), Play(decoder, copies, seed).run()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", FAMILIES)
def test_slots_give_what_copies_give(name: str, seed: int) -> None:
    found, expected = told(name, seed)
    assert len(found) == len(expected) > 5
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=TOLERANCE[name], atol=TOLERANCE[name])


@pytest.mark.parametrize("name", FAMILIES)
def test_slots_take_what_the_memory_rule_counts(name: str) -> None:
    decoder = family(name, dtype=torch.float32)
    for prompt in (1, 4, PROMPT):
        rows = decoder.slots(ROWS, prompt + ANSWER + UNSEEN, ANSWER + UNSEEN).rows(0, ROWS)
        cell = Cell(costs(decoder.config), 4, prompt + ANSWER, ANSWER, contested=True)
        assert rows.bytes == ROWS * cell.slot_bytes


def test_a_prompt_is_read_where_it_is_answered() -> None:
    """The keys of a prompt of several pieces are in its slot, and nowhere else."""
    decoder = family("llama")
    slots = slots_of(decoder)
    state = slots.begin([None, None])
    storage = [each.cache.buffer for each in attention(state)]
    for tokens in (5, 9, 1):
        _, state = decoder.read(torch.ones(2, tokens, dtype=torch.long), state)
    assert [each.cache.buffer for each in attention(state)] == storage
    assert attention(state)[0].cache.buffer.keys_BHSP[:2, :, :15].abs().sum() > 0


def test_a_state_whose_rows_were_given_away_is_refused() -> None:
    """It would go on from the keys of another sequence, and say nothing."""
    decoder = family("llama")
    slots, tokens = slots_of(decoder), torch.ones(1, 4, dtype=torch.long)
    _, old = decoder.read(tokens, slots.begin([None]))
    slots.compact(old, [])
    _, new = decoder.read(tokens, slots.begin([None]))
    with pytest.raises(AssertionError, match="given to another sequence"):
        decoder.read(tokens, old)
    decoder.read(tokens, new)


def test_a_sibling_of_a_row_in_a_slot_gets_room_of_its_own() -> None:
    """States stay values while the slot is theirs: the first continuation is not overwritten."""
    decoder = family("llama")
    _, parent = decoder.read(torch.ones(1, 4, dtype=torch.long), slots_of(decoder).begin([None]))
    twice = [decoder.read(torch.tensor([[token]]), parent) for token in (5, 6, 5)]
    assert torch.equal(twice[0][0], twice[2][0])
    assert not torch.equal(twice[0][0], twice[1][0])
    more = [decoder.read(torch.tensor([[7]]), after)[0] for _, after in twice]
    assert torch.equal(more[0], more[2])


def test_what_is_no_number_does_not_reach_the_next_row_of_a_slot() -> None:
    """A masked key is multiplied by zero, and NaN times zero is NaN."""
    decoder = family("llama", dtype=torch.float32)
    slots, tokens = slots_of(decoder), torch.ones(2, 9, dtype=torch.long)
    lengths = torch.tensor([9, 2])
    clean, _ = decoder.read(tokens, slots.begin([None, None]), lengths)
    slots.used = 0
    slots.storage.layers[0].cache.buffer.keys_BHSP[:] = float("nan")
    slots.storage.wipe(0, 2)
    again, _ = decoder.read(tokens, slots.begin([None, None]), lengths)
    assert torch.equal(again, clean)


def test_branches_never_take_all_slots() -> None:
    slots = Slots(family("llama"), answers=4, kept=9, total=4, prompt=9, answer=2)
    taken = [slots.begin_kept([None])[1] for _ in range(4)]
    assert taken == [3, 2, None, None]
    assert slots.room == 2
    slots.release(2)
    assert slots.begin_kept([None])[1] == 2


def attention(state: DecoderState) -> list[AttentionState]:
    return [layer for layer in state.layers if isinstance(layer, AttentionState)]


assert SPECS["window"].window < PROMPT // 2, "the plays leave the window"
