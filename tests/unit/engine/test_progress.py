"""One line that says how far a cell is."""

import logging
import re
import time

import pytest

from needlework.engine.progress import Progress, shown


def progress(*, samples: int = 4, done: int = 1, tokens: int = 300) -> Progress:
    return Progress(name="m/ruler/256", samples=samples, done=done, tokens=tokens, shared=0.5)


def test_the_line_can_be_read_by_programs() -> None:
    each = progress()
    each.started = time.monotonic() - 2
    each.finish(read=100, written=10)
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
        each.finish(read=300, written=1)
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
        each.finish(read=100, written=1)
        each.finish(read=100, written=1)
    assert len(caplog.messages) == 3
