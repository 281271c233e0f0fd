"""Terminal: silent in a log, a bar on a terminal."""

import io
import sys

import pytest

from needlework import terminal


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_shows_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(terminal.bar("label", total=2)(range(2))) == [0, 1]
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_the_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert list(terminal.bar("label", total=2)(range(2))) == [0, 1]
    assert "label" in sys.stderr.getvalue()
