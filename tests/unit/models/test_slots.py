"""Slots against their slow definition, and what must never reach the next row of a slot."""

import pytest
import torch

from needlework.cost.formulas import costs
from needlework.cost.room import UNSEEN, Cell
from needlework.engine.slots import Slots
from needlework.models.attention import AttentionState
from needlework.models.state import DecoderState
from tests.models_for_tests import FAMILIES, SPECS, family
from tests.slots_for_tests import ANSWER, PROMPT, ROWS, plays, slots_of

TOLERANCE = dict.fromkeys(FAMILIES, 0.0) | {"griffin": 1e-5}
"""To the byte; a window drops old columns at other times, so that sums begin at other columns."""


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", FAMILIES)
def test_slots_give_what_copies_give(name: str, seed: int) -> None:
    found, expected = plays(family(name, dtype=torch.float32), seed=seed)
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
    both = [decoder.read(torch.tensor([[token]]), parent)[1] for token in (5, 6)]
    for token, after in zip((5, 6), both, strict=True):
        found, _ = decoder.read(torch.tensor([[7]]), after)
        whole = torch.tensor([[1, 1, 1, 1, token, 7]])
        expected, _ = decoder.read(whole, decoder.init_state(1))
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_what_is_no_number_does_not_reach_the_next_row_of_a_slot() -> None:
    """A masked key is multiplied by zero, and NaN times zero is NaN."""
    decoder = family("llama", dtype=torch.float32)
    found = []
    for value in (0.0, torch.nan):
        slots = slots_of(decoder)
        slots.storage.layers[0].cache.buffer.keys_BHSP[:] = value
        slots.storage.wipe(0, 2)
        for row, tokens in enumerate((9, 2)):
            _, state = decoder.read(torch.ones(1, tokens, dtype=torch.long), slots.begin([None]))
            slots.storage.put(row, state)
        found.append(decoder.read(torch.ones(2, 1, dtype=torch.long), slots.storage.rows(0, 2))[0])
    assert torch.equal(*found)


def test_branches_never_take_all_slots() -> None:
    slots = Slots(family("llama"), answers=4, kept=9, total=4, prompt=9, answer=2)
    taken = [slots.begin_kept([None])[1] for _ in range(4)]
    assert taken == [3, 2, None, None]
    assert (slots.room, slots.room_kept) == (2, 0)
    slots.release(2)
    assert slots.begin_kept([None])[1] == 2


def attention(state: DecoderState) -> list[AttentionState]:
    return [layer for layer in state.layers if isinstance(layer, AttentionState)]


assert SPECS["window"].window < PROMPT // 2, "the plays leave the window"
