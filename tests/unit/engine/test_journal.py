"""What a journal keeps, cuts, refuses and guards."""

import json
import os
import resource
import signal
from pathlib import Path

import pytest

from needlework.engine import journal as journals
from needlework.engine.journal import Entry, Journal
from needlework.errors import EngineError
from tests.engine_for_tests import in_child

VOCABULARY = 100


def entry(key: str, *tokens: int) -> Entry:
    return Entry(key=key, tokens=tokens, stop_reason="limit", libraries="torch 2.5.1")


def filled(path: Path, *entries: Entry) -> Path:
    with Journal(path) as journal:
        journal.append(entries)
    return path


def read(path: Path) -> dict[str, Entry]:
    with Journal(path) as journal:
        return journal.entries(vocabulary=VOCABULARY)


def test_what_was_appended_is_found_by_its_key(tmp_path: Path) -> None:
    path = filled(tmp_path / "journal", entry("a", 1, 2), entry("b"))
    filled(path, entry("c", 3))
    assert read(path) == {"a": entry("a", 1, 2), "b": entry("b"), "c": entry("c", 3)}


LINE = len(journals._line(entry("b", 2)))


@pytest.mark.parametrize("lost", range(1, LINE + 1))
def test_a_torn_last_line_is_cut_and_the_rest_kept(tmp_path: Path, lost: int) -> None:
    """Cut at every byte, its end included: an answer may be whole and its line is not."""
    path = filled(tmp_path / "journal", entry("a", 1), entry("b", 2))
    os.truncate(path, path.stat().st_size - lost)
    assert read(path) == {"a": entry("a", 1)}
    filled(path, entry("c", 3))
    assert read(path) == {"a": entry("a", 1), "c": entry("c", 3)}


@pytest.mark.parametrize("lost", range(1, LINE + 1))
def test_the_line_that_another_process_is_writing_is_not_taken(tmp_path: Path, lost: int) -> None:
    path = filled(tmp_path / "journal", entry("a", 1), entry("b", 2))
    os.truncate(path, path.stat().st_size - lost)
    assert journals.read_entries(path, vocabulary=VOCABULARY) == {"a": entry("a", 1)}


def test_a_block_of_zeros_after_a_power_failure_is_cut(tmp_path: Path) -> None:
    path = filled(tmp_path / "journal", entry("a", 1))
    with path.open("ab") as file:
        file.write(b"\0" * 512)
    assert read(path) == {"a": entry("a", 1)}


def changed(line: bytes, **fields: object) -> bytes:
    """A line of which somebody changed a field and nothing else, checksum included."""
    return json.dumps(json.loads(line) | fields).encode() + b"\n"


def forged(**fields: object) -> bytes:
    """A line whose checksum is right and whose content is not."""
    told = json.dumps(entry("a").model_dump(mode="json") | fields).encode().removesuffix(b"}")
    return told + journals.CHECKSUM + journals._checksum(told) + b'"}\n'


GOOD = journals._line(entry("a", 1, 2))
UNSOUND = {
    "a token changed": changed(GOOD, tokens=[1, 3]),
    "a token more": changed(GOOD, tokens=[1, 2, 3]),
    "a token beyond the vocabulary": changed(GOOD, tokens=[1, VOCABULARY]),
    "a negative token": changed(GOOD, tokens=[1, -1]),
    "a huge token": changed(GOOD, tokens=[1, 10**30]),
    "a stop reason changed": changed(GOOD, stop_reason="end"),
    "a key changed": changed(GOOD, key="b"),
    "another version": changed(GOOD, libraries="torch 2.6.0"),
    "another checksum": changed(GOOD, sha256="0" * 16),
    "one blank more": GOOD.replace(b"[1,", b"[1, "),
    "forged beyond the vocabulary": forged(tokens=[VOCABULARY]),
    "forged negative": forged(tokens=[-1]),
    "forged huge": forged(tokens=[10**30]),
    "forged text": forged(tokens="all"),
    "forged reason": forged(stop_reason="tired"),
    "5,000 digits": GOOD.replace(b"[1,", b"[" + b"1" * 5000 + b","),
    "an earlier version": b'{"key": "a", "tokens": [1, 2], "stop_reason": "limit"}\n',
    "no entry": b"{}\n",
    "no JSON": b"hello\n",
    "not UTF-8": b'{"key": "\xff"}\n',
    "half a line": b'{"key": "a", "tok\n',
    "nothing": b"\n",
    "zeros": b"\0" * 40 + b"\n",
}


@pytest.mark.parametrize("line", UNSOUND.values(), ids=UNSOUND)
def test_a_line_that_is_not_what_was_written_is_counted_and_not_taken(
    line: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A changed token was an answer, silently; one of 10^30 was a traceback."""
    path = filled(tmp_path / "journal", entry("before", 1))
    with path.open("ab") as file:
        file.write(line)
    filled(path, entry("after", 2))
    assert read(path) == {"before": entry("before", 1), "after": entry("after", 2)}
    assert caplog.messages == [
        f"{path}: 1 of 3 lines are damaged or of an earlier version; "
        "what they answered is computed again"
    ]


def test_a_sound_journal_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(filled(tmp_path / "journal", entry("a", 0, VOCABULARY - 1), entry("b")))
    assert caplog.messages == []


def test_a_line_computed_again_takes_the_place_of_a_damaged_one(tmp_path: Path) -> None:
    path = filled(tmp_path / "journal", entry("a", 1))
    path.write_bytes(changed(path.read_bytes(), tokens=[7]))
    assert read(path) == {}
    assert read(filled(path, entry("a", 1))) == {"a": entry("a", 1)}


def test_lines_reach_the_disk_within_their_time_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power failure costs what SYNC_SECONDS hold, and nothing once the journal is closed."""
    now, synced = [100.0], []
    monkeypatch.setattr(journals.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(now[0]))
    with Journal(tmp_path / "journal") as journal:
        for seconds in (0.0, 0.5, 1.0, 2.5, 3.0, 4.7):
            now[0] = 100.0 + seconds
            journal.append([entry("a", 1)])
        now[0] = 105.0
    assert synced == [100.0, 102.5, 104.7, 105.0]


def test_a_colleague_of_the_group_may_continue_where_the_umask_says_so(tmp_path: Path) -> None:
    old = os.umask(0o002)
    try:
        path = filled(tmp_path / "journal", entry("a", 1))
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o664


def test_a_second_process_is_told_that_another_one_works(tmp_path: Path) -> None:
    def intrude() -> None:
        with pytest.raises(EngineError, match="another process works on this cell"):
            Journal(tmp_path / "journal").__enter__()

    with Journal(tmp_path / "journal") as journal:
        assert in_child(intrude) == 0
        journal.append([entry("a", 1)])
    assert read(tmp_path / "journal") == {"a": entry("a", 1)}


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    """A lock that outlives its holder would need somebody to remove it at night."""

    def die() -> None:
        with Journal(tmp_path / "journal") as journal:
            journal.append([entry("a", 1)])
            os.kill(os.getpid(), signal.SIGKILL)

    assert os.WTERMSIG(in_child(die)) == signal.SIGKILL
    assert read(tmp_path / "journal") == {"a": entry("a", 1)}


def test_a_kill_in_the_middle_of_a_line_loses_that_line_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write

    def write_half_and_die(file: int, data: bytes) -> int:
        write(file, data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    def die() -> None:
        with Journal(tmp_path / "journal") as journal:
            journal.append([entry("a", 1)])
            monkeypatch.setattr(os, "write", write_half_and_die)
            journal.append([entry("b", 2)])

    assert os.WTERMSIG(in_child(die)) == signal.SIGKILL
    assert read(tmp_path / "journal") == {"a": entry("a", 1)}


def test_a_full_disk_is_one_clear_error_and_loses_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk: a part is written, then it is full."""

    def fill() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 * LINE + 50, resource.RLIM_INFINITY))
        with Journal(tmp_path / "journal") as journal:
            journal.append([entry("a", 1), entry("b", 2)])
            with pytest.raises(EngineError, match="make room and run again, nothing finished"):
                journal.append([entry("c", *range(99))])
            # Nothing of the line is left for the next one to be glued to.
            assert (tmp_path / "journal").stat().st_size == 2 * LINE
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
            journal.append([entry("c", *range(99))])

    assert in_child(fill) == 0
    assert read(tmp_path / "journal") == {
        "a": entry("a", 1),
        "b": entry("b", 2),
        "c": entry("c", *range(99)),
    }


def test_a_journal_where_nothing_can_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError, match="file"):
        Journal(tmp_path / "file" / "journal").__enter__()
