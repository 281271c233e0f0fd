"""Would anybody notice if what is replayed were not what the host means?"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from needlework.engine.recording import Steps, Written
from needlework.models.attention import AttentionState
from needlework.models.key_values import FixedKeyValueState
from needlework.models.slots import DecoderSlots
from needlework.models.state import DecoderState
from tests.engine_for_tests import TINY
from tests.laws import test_recording as laws


def replayed(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laws.test_replayed_steps_write_the_same_answers(name, TINY, folder, monkeypatch)


def test_a_replay_that_reads_old_tokens_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Steps.write
    first: dict[int, Sequence[int]] = {}

    def stale(self: Steps, tokens: Sequence[int], prompts: Mapping[int, int]) -> Written:
        return honest(self, first.setdefault(len(tokens), list(tokens)), prompts)

    monkeypatch.setattr(Steps, "write", stale)
    with pytest.raises(AssertionError):
        replayed("llama", tmp_path, monkeypatch)


def test_lengths_that_do_not_advance_are_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DecoderSlots, "advance", lambda self, rows, written, tokens: None)
    with pytest.raises(AssertionError):
        replayed("llama", tmp_path, monkeypatch)


def test_a_state_that_is_not_put_back_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = DecoderSlots.put

    def forgetful(self: DecoderSlots, start: int, state: DecoderState) -> None:
        caches = [each.cache for each in state.layers if isinstance(each, AttentionState)]
        if not any(isinstance(cache, FixedKeyValueState) for cache in caches):
            honest(self, start, state)

    monkeypatch.setattr(DecoderSlots, "put", forgetful)
    with pytest.raises(AssertionError):
        replayed("griffin", tmp_path, monkeypatch)
