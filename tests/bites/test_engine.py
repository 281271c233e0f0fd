"""Would the laws of the engine notice? Each engine below is broken in one way an engine was."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from needlework.engine import (
    choosing,
    identity,
    journal,
    likelihood,
    prefill,
    running,
    schedule,
    stopping,
)
from needlework.engine.journal import Journal
from needlework.engine.likelihood import Likelihoods
from needlework.engine.slots import Slots
from needlework.models.slots import RowSlots
from needlework.models.state import DecoderState, RowState
from needlework.records import Prediction
from needlework.tokenizers import prefixes
from tests.engine_for_tests import FEW_SLOTS, ONE_BY_ONE, ROOMY, TINY, run_cell, shared_cell
from tests.laws import test_engine as laws
from tests.models_for_tests import family
from tests.unit.engine import test_cell, test_journal, test_likelihood, test_schedule


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> list[Prediction]:
    folder = tmp_path_factory.mktemp("bites")
    return run_cell(
        family("mamba2", dtype=torch.float32),
        shared_cell(),
        folder / "journal",
        limits=ONE_BY_ONE,
        share=False,
    )


def check_same(reference: list[Prediction], folder: Path, limits: schedule.Limits) -> None:
    """The law that sharing and batches change nothing, for one family."""
    laws.test_sharing_batches_and_chunks_change_nothing(
        "mamba2", True, limits, {"mamba2": reference}, folder
    )


def test_a_stop_rule_that_forgets_a_reference_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopping at the first of two references would halve every multi-needle score."""
    honest = stopping.is_decided
    monkeypatch.setattr(
        stopping,
        "is_decided",
        lambda text, outputs, metric: honest(text, outputs[:1], metric=metric),
    )
    with pytest.raises(AssertionError):
        laws.test_the_engine_answers_as_a_plain_loop_does("mamba2", tmp_path)


def test_a_stop_rule_that_looks_too_seldom_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping.Answer, "_may_complete", lambda self, token: token % 2 == 0)
    with pytest.raises(AssertionError):
        laws.test_the_engine_answers_as_a_plain_loop_does("llama", tmp_path)


def test_an_answer_past_its_end_token_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """recurrentgemma's sampler compares shapes, so a batch of two or more never ends early."""
    honest = stopping.Answer.add

    def add(self: stopping.Answer, token: int) -> str | None:
        reason = honest(self, token)
        return None if reason == "end" and len(self.tokens) < self.rule.limit - 1 else reason

    monkeypatch.setattr(stopping.Answer, "add", add)
    with pytest.raises(AssertionError):
        laws.test_the_engine_answers_as_a_plain_loop_does("llama", tmp_path)


def test_a_journal_keyed_without_the_revision_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The artifact resumes by row number: new weights would keep the old weights' answers."""
    honest = identity.Reader
    monkeypatch.setattr(identity, "Reader", lambda **all_: honest(**(all_ | {"weights": "any"})))
    with pytest.raises(AssertionError):
        laws.test_what_decides_an_answer_is_part_of_its_key("revision", tmp_path)


def test_a_journal_that_keeps_a_torn_line_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed job leaves half a line; appending to it loses the next answer as well."""
    monkeypatch.setattr(Journal, "_cut_torn_line", lambda self: None)
    with pytest.raises(AssertionError):
        test_journal.test_a_torn_last_line_is_cut_and_the_rest_kept(tmp_path, 5)


def test_a_journal_that_believes_what_it_reads_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(journal, "_checksum", lambda told: b"0" * 16)
    line = test_journal.changed(journal._line(test_journal.entry("a", 1)), tokens=[3])
    with pytest.raises(AssertionError):
        test_journal.test_a_line_that_is_not_what_was_written_is_counted_and_not_taken(
            line, tmp_path, caplog
        )


@pytest.mark.parametrize("name", laws.RECURRENT)
def test_a_branch_that_is_answered_without_a_copy_is_caught(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is put into a slot could be lent to it, until a step of the answer overwrites it."""
    honest_put, honest_rows = RowSlots.put, RowSlots.rows
    lent: dict[tuple[int, int], RowState] = {}

    def put(self: RowSlots[RowState], start: int, state: RowState) -> None:
        honest_put(self, start, state)
        lent[id(self), start] = state

    def rows(self: RowSlots[RowState], start: int, stop: int) -> RowState:
        found = honest_rows(self, start, stop)
        return lent.get((id(self), start), found) if stop == start + 1 else found

    monkeypatch.setattr(RowSlots, "put", put)
    monkeypatch.setattr(RowSlots, "rows", rows)
    with pytest.raises(AssertionError):
        laws.test_nobody_uses_a_state_again_that_was_written_on_from(
            name, ONE_BY_ONE, tmp_path, monkeypatch
        )


def test_a_branch_whose_slot_an_answer_takes_is_caught(
    reference: list[Prediction], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where slots are few, answers and kept branches come near each other."""
    honest = Slots.begin_kept

    def forgotten(
        self: Slots, before: Sequence[DecoderState | None]
    ) -> tuple[DecoderState, int | None]:
        found = honest(self, before)
        self._kept.clear()
        return found

    monkeypatch.setattr(Slots, "begin_kept", forgotten)
    monkeypatch.setattr(Slots, "release", lambda self, slot, *, spoiled: None)
    with pytest.raises(AssertionError):
        check_same(reference, tmp_path, FEW_SLOTS)


def test_a_branch_that_starts_at_the_wrong_state_is_caught(
    reference: list[Prediction], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        prefill._Prefill, "_states_before", lambda self, segments: [None] * len(segments)
    )
    with pytest.raises(AssertionError):
        check_same(reference, tmp_path, ROOMY)


def test_the_hidden_state_of_the_padding_is_caught(
    reference: list[Prediction], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last position of the batch is the last of its longest row only."""
    honest = prefill._read_piece

    def last_column(decoder, pieces, state):
        _, after = honest(decoder, pieces, state)
        longest = max(map(len, pieces))
        tokens = torch.zeros(len(pieces), longest, dtype=torch.long)
        for row, piece in enumerate(pieces):
            tokens[row, : len(piece)] = torch.from_numpy(piece)
        hidden, _ = decoder.hidden(tokens, state, torch.tensor([len(each) for each in pieces]))
        return hidden[:, -1], after

    monkeypatch.setattr(prefill, "_read_piece", last_column)
    with pytest.raises(AssertionError):
        check_same(reference, tmp_path, ROOMY)


def test_answers_that_change_places_are_caught(
    reference: list[Prediction], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When finished rows leave, every other row must keep its state."""
    honest = Slots.compact

    def shifted(self: Slots, state: DecoderState, order: Sequence[int]) -> None:
        honest(self, state, [*order[1:], *order[:1]])

    monkeypatch.setattr(Slots, "compact", shifted)
    with pytest.raises(AssertionError):
        check_same(reference, tmp_path, TINY)


def test_rounding_that_decides_a_tie_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "CLOSE", {})
    with pytest.raises(AssertionError):
        laws.test_close_logits_are_decided_by_the_row_alone(tmp_path)


def test_a_plan_that_shares_nothing_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "plan_forest", prefixes.plan_separately)
    with pytest.raises(AssertionError):
        laws.test_a_prefix_is_read_once_for_all_prompts(tmp_path)


def test_a_schedule_that_never_frees_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = test_schedule.schedule

    def hoarding(forest, limits):
        return [schedule.Batch(batch.segments, ()) for batch in honest(forest, limits)]

    monkeypatch.setattr(test_schedule, "schedule", hoarding)
    with pytest.raises(AssertionError):
        test_schedule.test_kept_states_stay_near_their_bound(0, 1)


def test_a_failure_that_passes_for_an_empty_answer_is_caught(
    reference: list[Prediction], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A NaN that is decoded like any number scores zero without anybody being told."""
    monkeypatch.setattr(torch.Tensor, "isfinite", lambda self: torch.ones_like(self, dtype=bool))
    with pytest.raises(AssertionError):
        test_cell.test_logits_that_are_no_numbers_fail_their_row_alone(reference, tmp_path)


LIKELIHOODS = laws.test_likelihoods_do_not_depend_on_what_is_read_together


def test_a_number_that_rounding_decides_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch would decide on the last step of a log-likelihood."""
    monkeypatch.setattr(likelihood, "is_contested", lambda value, error: False)
    with pytest.raises(AssertionError):
        LIKELIHOODS("transformerpp", 1 << 18, tmp_path, monkeypatch)


def test_a_text_that_reads_its_own_token_first_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each token judged after itself, one place too late."""
    honest = likelihood.Likelihoods._following
    monkeypatch.setattr(
        likelihood.Likelihoods,
        "_following",
        lambda self, state, texts: honest(self, state, [[*text[1:], 0] for text in texts]),
    )
    with pytest.raises(AssertionError):
        test_likelihood.test_a_forked_state_tells_what_one_pass_does(
            "mamba2", ROOMY, tmp_path, monkeypatch
        )


def test_rows_whose_texts_change_places_are_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a text adds behind the prompt of the row beside it."""
    read = Likelihoods._following
    monkeypatch.setattr(Likelihoods, "_following", lambda *asked: read(*asked).flip(0))
    with pytest.raises(AssertionError):
        test_likelihood.test_a_forked_state_tells_what_one_pass_does(
            "mamba2", ROOMY, tmp_path, monkeypatch
        )
