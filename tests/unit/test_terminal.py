"""Terminal: silent in a log, a bar on a terminal."""

import io
import sys
import time

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


def test_a_log_has_a_line_of_a_long_download_every_half_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = iter([0, 10, 31, 40, 62])
    monkeypatch.setattr(time, "monotonic", lambda: next(seconds, 62))
    with terminal.meter("a/model.bin.part", 10_000_000, 1_000_000) as tell:
        for _ in range(4):
            tell(2_000_000)
    assert capsys.readouterr().err.splitlines() == [
        "needlework: model.bin: 5 of 10 MB",
        "needlework: model.bin: 9 of 10 MB",
    ]


def test_a_terminal_shows_how_far_a_download_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with terminal.meter("a/model.bin.part", 10_000_000, 0) as tell:
        tell(5_000_000)
    shown = sys.stderr.getvalue()
    assert "model.bin" in shown
    assert "5.0/10.0 MB" in shown
