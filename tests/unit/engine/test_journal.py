"""What a journal keeps, cuts, refuses and guards."""

import json
import os
import resource
import signal
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel

from needlework.engine.journal import Entry, Journal, entry_key
from needlework.errors import EngineError, RecordError
from tests.engine_for_tests import in_child


def entry(key: str, *tokens: int) -> Entry:
    return Entry(key=key, tokens=tokens, stop_reason="limit")


def filled(path: Path, *entries: Entry) -> Path:
    with Journal(path) as journal:
        journal.append(entries)
    return path


def read(path: Path) -> dict[str, Entry]:
    with Journal(path) as journal:
        return journal.entries()


def test_what_was_appended_is_found_by_its_key(tmp_path: Path) -> None:
    path = filled(tmp_path / "journal", entry("a", 1, 2), entry("b"))
    filled(path, entry("c", 3))
    assert read(path) == {"a": entry("a", 1, 2), "b": entry("b"), "c": entry("c", 3)}


@pytest.mark.parametrize("lost", range(1, 30, 4))
def test_a_torn_last_line_is_cut_and_the_rest_kept(tmp_path: Path, lost: int) -> None:
    path = filled(tmp_path / "journal", entry("a", 1), entry("b", 2))
    os.truncate(path, path.stat().st_size - lost)
    assert read(path) == {"a": entry("a", 1)}
    filled(path, entry("c", 3))
    assert read(path) == {"a": entry("a", 1), "c": entry("c", 3)}


def test_a_block_of_zeros_after_a_power_failure_is_cut(tmp_path: Path) -> None:
    path = filled(tmp_path / "journal", entry("a", 1))
    with path.open("ab") as file:
        file.write(b"\0" * 512)
    assert read(path) == {"a": entry("a", 1)}


@pytest.mark.parametrize("broken", [b"{}\n", b"hello\n", b'{"key": "a", "tok\n', b"\n"])
def test_a_broken_line_in_the_middle_is_named(tmp_path: Path, broken: bytes) -> None:
    path = filled(tmp_path / "journal", entry("a", 1))
    with path.open("ab") as file:
        file.write(broken)
    with pytest.raises(RecordError, match=r"journal:2: not a journal entry; delete that line"):
        read(filled(path, entry("b", 2)))


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
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
        with Journal(tmp_path / "journal") as journal:
            journal.append([entry("a", 1), entry("b", 2)])
            with pytest.raises(EngineError, match="make room and run again, nothing finished"):
                journal.append([entry("c", *range(100))])

    assert in_child(fill) == 0
    assert read(tmp_path / "journal") == {"a": entry("a", 1), "b": entry("b", 2)}
    assert all(json.loads(line) for line in (tmp_path / "journal").read_text().splitlines())


def test_a_journal_where_nothing_can_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError, match="file"):
        Journal(tmp_path / "file" / "journal").__enter__()


class Identity(BaseModel):
    revision: str


def test_a_key_depends_on_identity_and_tokens() -> None:
    tokens = np.array([1, 2], dtype=np.int32)
    keys = {
        entry_key(Identity(revision="a"), tokens),
        entry_key(Identity(revision="b"), tokens),
        entry_key(Identity(revision="a"), tokens[::-1]),
        entry_key(Identity(revision="a"), tokens[:1]),
    }
    assert len(keys) == 4


def test_a_key_does_not_depend_on_how_the_tokens_are_held() -> None:
    narrow, wide = np.array([1, 70000], dtype=np.int32), np.array([1, 70000], dtype=np.int64)
    identity = Identity(revision="a")
    assert entry_key(identity, narrow) == entry_key(identity, wide)
