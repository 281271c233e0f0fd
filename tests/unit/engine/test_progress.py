"""One line that says how far a cell is."""

import io
import logging
import re
import sys
import time

import pytest

from needlework.engine.progress import Progress, shown


def progress(*, samples: int = 4, done: int = 1, tokens: int = 300) -> Progress:
    return Progress(name="m/ruler/256", samples=samples, done=done, tokens=tokens, shared=0.5)


def test_the_line_can_be_read_by_programs() -> None:
    each = progress()
    each.started = time.monotonic() - 2
    each.finish(1, read=100, written=10)
    found = dict(part.split("=") for part in each.line.split()[1:])
    assert found["samples"] == "2/4"
    assert found["shared"] == "0.50"
    assert abs(int(found["tokens_per_s"]) - 55) <= 3
    assert abs(int(found["eta_s"]) - 4) <= 1


def test_nothing_is_promised_before_anything_is_known() -> None:
    assert "eta_s=unknown" in progress().line


def test_a_cell_from_the_journal_has_nothing_left() -> None:
    assert "eta_s=0" in progress(done=4, tokens=0).line


def test_without_a_terminal_one_line_says_how_it_ended(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    each = progress()
    with shown(each):
        each.finish(1, read=300, written=1)
    assert [re.sub(r"\d+", "0", line) for line in caplog.messages] == [
        "m/ruler/0 samples=0/0 tokens_per_s=0 shared=0.0 eta_s=0"
    ]


def test_a_long_cell_tells_in_between(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job of hours with an empty log looks dead."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("needlework.engine.progress.LOG_SECONDS", 0)
    each = progress()
    with shown(each):
        each.finish(1, read=100, written=1)
        each.finish(1, read=100, written=1)
    assert len(caplog.messages) == 3


class Terminal(io.StringIO):
    """A screen that remembers."""

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_one_line_is_kept_up_to_date(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log beside the live line would tear it."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("needlework.engine.progress.LOG_SECONDS", 0)
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    each = progress()
    with shown(each):
        each.finish(1, read=300, written=1)
    shown_text = re.sub(r"\x1b\[[?\d;]*\w", "", screen.getvalue())
    assert "m/ruler/256 samples=2/4" in shown_text
    assert not caplog.messages


def test_without_a_terminal_nothing_but_the_log_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Control characters in a log file make it unreadable for people and programs."""
    said = io.StringIO()
    monkeypatch.setattr(sys, "stderr", said)
    with shown(progress()):
        pass
    assert said.getvalue() == ""
