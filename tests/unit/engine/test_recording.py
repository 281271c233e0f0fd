"""What is recorded of steps, how often the host is heard of, and what becomes of bad luck."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import torch

from needlework.cost.room import MOST_RECORDED, fixed_columns, fixed_rows
from needlework.engine import choosing, recording
from needlework.engine.recording import Run, Steps, Written
from needlework.models.decoder import Decoder
from needlework.records import Prediction
from tests.engine_for_tests import TINY, run_cell, shared_cell
from tests.models_for_tests import family
from tests.recording_for_tests import Tapes, record_with


def answers(
    monkeypatch: pytest.MonkeyPatch, folder: Path, recorder: recording.Recorder, decoder: Decoder
) -> list[Prediction]:
    """The same cell with steps that are recorded."""
    monkeypatch.setattr(choosing, "close_share", lambda logits: None)
    record_with(monkeypatch, recorder)
    return run_cell(decoder, shared_cell(samples=2), folder / "journal", limits=TINY)


@pytest.fixture
def decoder() -> Decoder:
    return family("llama", dtype=torch.float64)


class Refusing(Tapes):
    """Nothing can be recorded."""

    asked = 0
    reason: Exception = RuntimeError("operation not permitted\nwhen stream is capturing")

    def record(self, run: Run) -> Run:
        self.asked += 1
        raise self.reason


def test_what_cannot_be_recorded_is_launched_and_told_once(
    decoder: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    expected = answers(monkeypatch, tmp_path / "a", Tapes(), decoder)
    refusing = Refusing()
    with caplog.at_level(logging.WARNING):
        assert answers(monkeypatch, tmp_path / "b", refusing, decoder) == expected
        assert answers(monkeypatch, tmp_path / "c", refusing, decoder) == expected
    assert refusing.asked == 1
    (record,) = caplog.records
    assert record.getMessage() == (
        "steps are not recorded, every kernel is launched by itself: "
        "operation not permitted when stream is capturing"
    )


class Full(Tapes):
    """Recording runs out of memory, and so does its end, but in other words."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.refused = 0

    def record(self, run: Run) -> Run:
        if self.refused == self.most:
            return super().record(run)
        self.refused += 1
        try:
            raise torch.OutOfMemoryError("CUDA out of memory")
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")


def test_memory_that_runs_out_while_recording_halves_the_limits(
    decoder: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    expected = answers(monkeypatch, tmp_path / "a", Tapes(), decoder)
    full = Full(most=1)
    with caplog.at_level(logging.WARNING):
        assert answers(monkeypatch, tmp_path / "b", full, decoder) == expected
    assert full.recorded
    (record,) = caplog.records
    assert "unfinished answers begin again with" in record.getMessage()


def test_one_row_is_launched_where_its_recording_does_not_fit(
    decoder: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = answers(monkeypatch, tmp_path / "a", Tapes(), decoder)
    assert answers(monkeypatch, tmp_path / "b", Full(most=1000), decoder) == expected


def test_few_recordings_are_kept_and_the_oldest_is_dropped(
    decoder: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    honest = Steps._block

    def counting(self: Steps, rows: int, columns: int) -> recording._Block:
        block = honest(self, rows, columns)
        kept.append(len(self.blocks))
        assert next(reversed(self.blocks)) == (rows, columns)
        return block

    monkeypatch.setattr(recording, "MOST_RECORDED", 2)
    monkeypatch.setattr(recording, "fixed_rows", lambda rows: rows)
    expected = answers(monkeypatch, tmp_path / "a", Tapes(), decoder)
    monkeypatch.setattr(Steps, "_block", counting)
    assert answers(monkeypatch, tmp_path / "b", Tapes(), decoder) == expected
    assert max(kept) == 2


class Heard(Tapes):
    """Notes what the host asks of the device, replays without what is within them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.calls: list[str] = []
        for name in ("copy_", "tolist", "item", "nonzero"):
            monkeypatch.setattr(torch.Tensor, name, self.noting(name))

    def noting(self, name: str) -> Callable[..., object]:
        honest = getattr(torch.Tensor, name)

        def noted(*given: object, **named: object) -> object:
            self.calls.append(name)
            return honest(*given, **named)

        return noted

    def record(self, run: Run) -> Run:
        replay = super().record(run)

        def replayed() -> None:
            before = list(self.calls)
            replay()
            self.calls = [*before, "replay"]

        return replayed


def test_the_host_is_heard_of_three_times_in_four_steps(
    decoder: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy to the device, a replay, a copy back: less than one call a step."""
    heard, told, honest = Heard(monkeypatch), list[tuple[str, ...]](), Steps.write

    def write(self: Steps, tokens: Sequence[int], prompts: Mapping[int, int]) -> Written:
        heard.calls, recorded, replayed = [], heard.recorded, heard.replayed
        written = honest(self, tokens, prompts)
        if heard.recorded == recorded and heard.replayed > replayed:
            assert len(written.choices) == 4
            told.append(tuple(heard.calls))
        return written

    monkeypatch.setattr(Steps, "write", write)
    answers(monkeypatch, tmp_path, heard, decoder)
    assert set(told) == {("copy_", "replay", "tolist")}


def test_rows_and_columns_come_in_few_sizes() -> None:
    """Each has recordings of its own; of rows no more than a third is computed in vain."""
    rows = {fixed_rows(count) for count in range(1, 257)}
    assert sorted(rows) == [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256]
    assert len(rows) <= MOST_RECORDED
    assert all(count <= fixed_rows(count) <= 1.5 * count for count in range(1, 257))
    assert [fixed_columns(count) for count in (0, 1, 256, 257)] == [0, 256, 256, 512]
