"""The lock as a file, and how it stands to models.yaml. No network."""

import subprocess
import sys
from pathlib import Path

import pytest

from needlework.errors import ResourceError, StudyError
from needlework.external import locks
from needlework.external.locks import Lock, Repository
from tests.locks_for_tests import fetched, locked

FIRST, SECOND = "1" * 40, "2" * 40
CHECKPOINT = Repository("checkpoints", "me/tiny", None)


def written(folder: Path) -> Path:
    """A lock of two repositories, the later one in the alphabet first."""
    path = folder / locks.NAME
    locks.add(path, "you/tiny", locked(SECOND, "checkpoints", "tokenizers"))
    locks.add(path, "me/tiny", locked(FIRST, "checkpoints"))
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = written(tmp_path)
    entries = locks.load(path).repositories
    assert entries == {
        "me/tiny": locked(FIRST, "checkpoints"),
        "you/tiny": locked(SECOND, "checkpoints", "tokenizers"),
    }
    assert locks.load(tmp_path / "no/lock.yaml") == Lock()


def test_the_order_of_fetching_is_no_part_of_the_file(tmp_path: Path) -> None:
    """So that version control shows what changed, a line for every file."""
    first = written(tmp_path).read_text(encoding="utf-8")
    other = tmp_path / "other" / locks.NAME
    locks.add(other, "me/tiny", locked(FIRST, "checkpoints"))
    locks.add(other, "you/tiny", locked(SECOND, "tokenizers"))
    locks.add(other, "you/tiny", locked(SECOND, "checkpoints"))
    assert other.read_text(encoding="utf-8") == first
    assert first.count("config.json: {bytes: 2, sha256: ") == 3


def test_what_is_locked_stays_when_another_process_was_first(tmp_path: Path) -> None:
    path = written(tmp_path)
    before = path.read_bytes()
    theirs = locks.add(path, "me/tiny", locked(SECOND, "checkpoints"))
    assert theirs.repositories["me/tiny"].revision == FIRST
    assert path.read_bytes() == before


def test_processes_that_lock_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / locks.NAME
    code = (
        "import sys; from pathlib import Path; from needlework.external import locks; "
        "from tests.locks_for_tests import locked\n"
        "for i in range(10): locks.add(Path(sys.argv[1]), f'{sys.argv[2]}/m{i}', locked('1' * 40))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(path), owner]) for owner in ("a", "b")
    ]
    assert [each.wait() for each in started] == [0, 0]
    assert len(locks.load(path).repositories) == 20


@pytest.mark.parametrize("lines", [0, 3, 7, 9])
def test_a_torn_lock_is_one_line(tmp_path: Path, lines: int) -> None:
    """Cut between lines it would often still be YAML, of a lock that has less in it."""
    path = written(tmp_path)
    kept = path.read_text(encoding="utf-8").splitlines(keepends=True)[: -1 - lines]
    path.write_text("".join(kept), encoding="utf-8")
    with pytest.raises(StudyError, match=r"get it back \(`git checkout .*models.lock.yaml`\)") as e:
        locks.load(path)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("revision:", "revison:", r"`revison` is unknown; did you mean `revision`\?"),
        ("repositories:", "repos:", r"`repos` is unknown"),
        (FIRST, "main", "revision"),
        ("{bytes: 2", "{bytes: -2", "bytes"),
        ("config.json", "../config.json", "config.json"),
        ("config.json", ".config.json", "config.json"),
        ("sha256: 4", "sha256: X", "sha256"),
        ("me/tiny:", f"me/tiny@{SECOND}:", "they must be equal"),
        ("me/tiny:", "tiny:", "tiny"),
        ("repositories:", "- repositories:", "must hold keys"),
        ("bytes: 2", f"bytes: {'9' * 5000}", "is not YAML"),
        ("me/tiny:", "<<<<<<< HEAD\n  me/tiny:", "is not YAML"),
    ],
)
def test_a_lock_with_a_mistake_is_one_line(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = written(tmp_path)
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(StudyError, match=told) as error:
        locks.load(path)
    assert "\n" not in str(error.value)
    assert "git checkout" in str(error.value)


def test_what_is_not_locked_is_named_with_the_way_to_lock_it(tmp_path: Path) -> None:
    wanted = [CHECKPOINT, Repository("tokenizers", "you/tiny", SECOND)]
    with pytest.raises(
        ResourceError,
        match=r"does not hold me/tiny, you/tiny; run `needlework fetch --configfile config/x\.yaml",
    ):
        Lock().refuse_unlocked(wanted, "config/x.yaml", tmp_path)
    locks.load(written(tmp_path)).refuse_unlocked(wanted, "config/x.yaml", tmp_path)


def test_a_commit_without_files_is_not_yet_locked(tmp_path: Path) -> None:
    known = Lock(repositories={"me/tiny": locked(FIRST, "tokenizers")})
    with pytest.raises(ResourceError, match="does not hold me/tiny"):
        known.refuse_unlocked([CHECKPOINT], "x", tmp_path)


def test_a_revision_that_the_lock_has_not_is_told_with_both_commits(tmp_path: Path) -> None:
    known = locks.load(written(tmp_path))
    wanted = CHECKPOINT._replace(revision=SECOND)
    with pytest.raises(ResourceError, match=f"at {FIRST}, but models.yaml says .*{SECOND}"):
        known.refuse_unlocked([wanted], "x", tmp_path)
    assert known.key(wanted.hub, SECOND) == f"me/tiny@{SECOND}"
    both = locks.add(tmp_path / locks.NAME, f"me/tiny@{SECOND}", locked(SECOND, "checkpoints"))
    both.refuse_unlocked([wanted, CHECKPOINT], "x", tmp_path)
    assert both.key(wanted.hub, FIRST) == "me/tiny"


def test_what_was_fetched_must_be_what_is_locked(tmp_path: Path) -> None:
    known = locks.load(written(tmp_path))
    manifest = fetched(tmp_path, CHECKPOINT, known.repositories["me/tiny"])
    known.refuse_unlocked([CHECKPOINT], "x", tmp_path)
    manifest.write_text(manifest.read_text().replace('"bytes":2', '"bytes":3'), encoding="utf-8")
    with pytest.raises(ResourceError, match=r"manifest\.json lists other files"):
        known.refuse_unlocked([CHECKPOINT], "x", tmp_path)


def test_differences_name_every_file_that_changed() -> None:
    (old,) = (locked(FIRST, "checkpoints").checkpoints,)
    assert old is not None
    same, other = old["config.json"], old["config.json"].model_copy(update={"bytes": 3})
    before = {"a": same, "b": same, "c": same}
    after = {"b": same, "c": other, "d": other}
    lines = locks.differences(before, after)
    assert [line.split(",")[0] for line in lines] == [
        "- a: 2 bytes",
        "~ c: 2 bytes",
        "+ d: 3 bytes",
    ]
    assert locks.differences(before, before) == []
