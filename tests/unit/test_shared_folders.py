"""Files in folders that a group shares, on full disks, and under names that mean something."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from needlework import files, tokenizers
from needlework.cluster import slurm
from needlework.engine.journal import Journal
from needlework.errors import OutOfRoomError, StudyError
from needlework.parsing import parse, read_keys
from needlework.study import inputs
from needlework.study.config import Models
from tests.study_for_tests import CONFIG


@pytest.fixture(params=[0o077, 0o002, 0o022])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    mask: int = request.param
    before = os.umask(mask)
    yield mask
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_files_are_as_open_as_the_umask_lets_them(umask: int, tmp_path: Path) -> None:
    """Who may read them, and whether a colleague may go on with them, is said there alone."""
    files.write_text(tmp_path / "a.txt", "text")
    with Journal(tmp_path / "a.journal"):
        pass
    assert mode(tmp_path / "a.txt") == mode(tmp_path / "a.journal") == 0o666 & ~umask


def test_a_file_that_was_there_keeps_nothing_of_its_mode(umask: int, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "a.txt").chmod(0o600)
    files.write_text(tmp_path / "a.txt", "new")
    assert mode(tmp_path / "a.txt") == 0o666 & ~umask
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system raises while it writes names none."""

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutOfRoomError, match=r"a\.txt: no space left on device; make room"):
        files.write_text(tmp_path / "a.txt", "text")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("source", ["models/{model}", "models/<results>", "a}b"])
def test_a_path_that_would_be_filled_in_is_refused(source: str) -> None:
    catalogue = read_keys(CONFIG / "models.yaml")
    catalogue["models"]["nano-llama"]["checkpoint"] = source  # type: ignore[index]
    with pytest.raises(StudyError, match=r"checkpoint: holds .* with which rules mark"):
        parse(Models, catalogue, where="models.yaml")


def test_rows_of_a_queue_without_a_folder_are_no_job_of_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "_answer", lambda *_: "7\n8 needlework\n\n9 other /somewhere else\n")
    assert slurm.check_queue(tmp_path) is None


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer.model", "rwkv_vocab_v1.txt"])
def test_rules_depend_on_the_file_that_a_tokenizer_is_read_from(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    read = tokenizers._definition(tmp_path)
    assert str(read) in inputs.of_tokenizer(str(tmp_path), None)
