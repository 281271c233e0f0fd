"""What tests of servers may reach."""

import socket

import pytest


def allow_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere, but for servers on this machine."""
    real = socket.socket.connect

    def near(self: socket.socket, address: object) -> None:
        if not (isinstance(address, tuple) and address[0] in ("127.0.0.1", "::1")):
            raise OSError(f"a test tried to connect to {address!r}")
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", near)
