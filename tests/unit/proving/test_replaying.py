"""Replayed steps beside launched ones, as `needlework prove` compares them on a GPU."""

import pytest

from needlework.engine.recording import Run
from needlework.proving import replaying
from needlework.proving.replaying import compare_replays
from needlework.proving.steps import NANO, TOY
from tests.recording_for_tests import Tapes

GRIFFIN = f"{NANO}/griffin"


def test_without_a_recorder_both_ways_are_one() -> None:
    found = compare_replays(TOY, GRIFFIN)
    assert not found.recorded
    assert found.passed


def test_what_is_replayed_is_what_is_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    tapes = Tapes()
    monkeypatch.setattr(replaying, "recorder_for", lambda decoder: tapes)
    found = compare_replays(TOY, GRIFFIN)
    assert found.recorded
    assert found.passed
    assert tapes.replayed > tapes.recorded > 0


class Stuck(Tapes):
    """What is replayed does nothing."""

    def record(self, run: Run) -> Run:
        super().record(run)
        return lambda: None


def test_a_replay_that_does_nothing_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying, "recorder_for", lambda decoder: Stuck())
    found = compare_replays(TOY, GRIFFIN)
    assert not found.passed
    assert found.differing
