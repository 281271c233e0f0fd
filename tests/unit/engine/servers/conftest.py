"""Servers on this machine may be reached; everything else may not."""

import socket

import pytest

from needlework.engine.servers import client, questions
from tests.engine_for_tests import NumberTokenizer


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere, but for loopback."""
    real = socket.socket.connect

    def near(self: socket.socket, address: object) -> None:
        if not (isinstance(address, tuple) and address[0] in ("127.0.0.1", "::1")):
            raise OSError(f"a test tried to connect to {address!r}")
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", near)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow one another at once, and a cell is read by a tokenizer of numbers."""
    monkeypatch.setattr(client, "LONGEST_WAIT", 0.01)
    monkeypatch.setattr(questions.tokenizers, "load", lambda *_, **__: NumberTokenizer())
