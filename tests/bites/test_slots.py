"""Would anybody notice if slots were not what states side by side are?"""

from collections.abc import Sequence
from pathlib import Path

import pytest
from torch import Tensor

from needlework.engine.decode import _Batch
from needlework.models.key_values import KeyValueBuffer, KeyValueState
from needlework.models.slots import KeyValueSlots, RowSlots
from tests.unit.engine import test_cell as cells
from tests.unit.engine import test_likelihood
from tests.unit.models import test_slots as slots


def plays(name: str) -> None:
    for seed in range(6):
        slots.test_slots_give_what_copies_give(name, seed)


def test_a_row_that_moves_without_its_last_column_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = KeyValueSlots._copy

    def short(
        self: KeyValueSlots, start: int, source: tuple[Tensor, ...], lengths: Sequence[int]
    ) -> list[int]:
        honest(self, start, source, [max(0, length - 1) for length in lengths])
        return list(lengths)

    monkeypatch.setattr(KeyValueSlots, "_copy", short)
    with pytest.raises(AssertionError):
        plays("llama")


@pytest.mark.parametrize("name", ["mamba2", "rwkv6"])
def test_a_state_that_stays_behind_when_its_row_moves_is_caught(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = RowSlots.keep
    monkeypatch.setattr(
        RowSlots, "keep", lambda self, state, order: honest(self, state, range(len(order)))
    )
    with pytest.raises(AssertionError):
        plays(name)


def test_a_sibling_that_writes_into_the_slot_of_its_parent_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = KeyValueState.with_room
    monkeypatch.setattr(
        KeyValueState,
        "with_room",
        lambda self, new: self if self.buffer.reserved else honest(self, new),
    )
    with pytest.raises(AssertionError):
        slots.test_a_sibling_of_a_row_in_a_slot_gets_room_of_its_own()


def test_a_slot_that_is_given_on_in_silence_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KeyValueBuffer, "give", lambda self, rows: self.write(rows))
    with pytest.raises(pytest.fail.Exception):
        slots.test_a_state_whose_rows_were_given_away_is_refused()


def test_a_slot_that_is_not_wiped_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KeyValueSlots, "wipe", lambda self, start, stop: None)
    with pytest.raises(AssertionError):
        slots.test_what_is_no_number_does_not_reach_the_next_row_of_a_slot()


def test_a_batch_that_never_wipes_is_caught(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setattr(_Batch, "_wipe", lambda self: None)
    with pytest.raises(AssertionError):
        cells.test_a_prompt_whose_numbers_are_none_spoils_no_other(tmp_path_factory.mktemp("cell"))


def test_a_text_that_is_left_behind_a_row_is_caught(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(KeyValueSlots, "wipe_behind", lambda self, slot: None)
    with pytest.raises(AssertionError):
        test_likelihood.test_a_text_whose_numbers_are_none_spoils_no_other(tmp_path)
