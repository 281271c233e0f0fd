"""Servers on this machine may be reached; everything else may not."""

import pytest

from needlework.engine.servers import client, questions
from tests.engine_for_tests import NumberTokenizer
from tests.network_for_tests import allow_loopback


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere, but for loopback."""
    allow_loopback(monkeypatch)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow one another at once, and a cell is read by a tokenizer of numbers."""
    monkeypatch.setattr(client, "LONGEST_WAIT", 0.01)
    monkeypatch.setattr(questions.tokenizers, "load", lambda *_, **__: NumberTokenizer())
