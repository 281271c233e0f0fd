"""Faults of the machine, injected below Python: what docs/operations.md says is what happens.

Every row of its table is made here by a test; a row without one, or a test without its row, fails.
"""

import errno
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from needlework.errors import NoLocksError
from needlework.tokenizers.prefixes import Tokens  # noqa: F401 - loaded before another user is one

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/operations.md"
Test = TypeVar("Test", bound=Callable[..., object])
MADE: set[str] = set()
COMPILER = shutil.which("cc") or shutil.which("gcc")
needs_compiler = pytest.mark.skipif(
    COMPILER is None or sys.platform != "linux",
    reason="faults are injected by a C library on Linux",
)


def makes(row: str) -> Callable[[Test], Test]:
    """Says which row of the table a test makes."""
    MADE.add(row)
    return lambda test: test


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that makes calls of a process fail."""
    library = tmp_path_factory.mktemp("faults") / "faults.so"
    source = ROOT / "tests/faults_for_tests.c"
    subprocess.run(
        [str(COMPILER), "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"],
        check=True,
    )
    return library


def run(
    faults: Path, words: list[str], cwd: Path, **told: str
) -> "subprocess.CompletedProcess[str]":
    """A command under faults."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env=os.environ | {"LD_PRELOAD": str(faults), "OMP_NUM_THREADS": "1"} | told,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


WRITERS = """
import json, os, sys
from pathlib import Path
import polars as pl
from needlework.artifact.bundle import write_artifact
from needlework.engine.journal import Entry, Journal
from needlework.external.downloading import Downloader
from needlework.files import write_records, write_text
from needlework.records import Sample
from needlework.report import charts
from needlework.scores import remarks
import altair as alt

def journal(path, version):
    with Journal(path) as lines:
        lines.append([Entry(key=version, tokens=(1,) * 9000, stop_reason="end", libraries="")])

class Answer:
    status, headers = 200, {}
    def __init__(self, version): self.left = [version.encode() * 9000]
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def read1(self, _): return self.left.pop() if self.left else b""

def download(path, version):
    path.unlink(missing_ok=True)
    loader = Downloader(lambda _: Answer(version), lambda _: None)
    loader.get(["http://x/x"], path, check=lambda _: None)

def artifact(path, version):
    study = path.parent.parent / "study"
    study.mkdir(exist_ok=True)
    (study / "estimates.parquet").write_bytes(version.encode() * 90000)
    write_artifact(study, path, inputs=[])

def figure(path, version):
    rows = alt.Data(values=[{"a": version}])
    charts.save(alt.Chart(rows).mark_point().encode(x="a:N"), path.with_suffix(""))

KINDS = {
    "text.md": lambda path, version: write_text(path, version * 9000),
    "records.jsonl": lambda path, version: write_records(
        path, [Sample(index=0, input=version * 9000, outputs=("a",), length=1)]),
    "scores.parquet": lambda path, version: remarks.write(
        pl.DataFrame({"a": [version] * 9000}), path),
    "a.journal": journal,
    "weights.bin": download,
    "artifact.zip": artifact,
    "figure.svg": figure,
}
folder = Path(sys.argv[1])
told = {}
for name, write in KINDS.items():
    path = folder / name
    write(path, "old")
    before = path.read_bytes()
    os.environ["FAULT_CALL"] = sys.argv[2]
    try:
        write(path, "new")
        error = None
    except Exception as found:
        error = [type(found).__name__, str(found)]
    os.environ["FAULT_CALL"] = "none"
    kept = path.exists() and path.read_bytes() == before
    write(path, "new")
    hidden = [each.name for each in folder.iterdir() if each.name.startswith(f".{name}.")]
    left = [each for each in hidden if not each.endswith(".lock")]
    told[name] = {"error": error, "kept": kept, "left": left}
print(json.dumps(told))
"""


def failed_writes(faults: Path, tmp_path: Path, call: str, number: int) -> dict[str, Any]:
    """What every kind of write says and leaves when a call fails."""
    folder = tmp_path / "out"
    folder.mkdir()
    (tmp_path / "script.py").write_text(WRITERS)
    done = run(
        faults,
        [str(tmp_path / "script.py"), str(folder), call],
        ROOT,
        FAULT_PATH=str(folder),
        FAULT_ERRNO=str(number),
        PYTHONPATH=str(ROOT / "src"),
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@makes("the disk is full")
@makes("a quota is reached")
@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT], ids=["full", "quota"])
def test_every_kind_of_write_names_its_file_and_keeps_the_old_one(
    faults: Path, tmp_path: Path, number: int
) -> None:
    told = failed_writes(faults, tmp_path, "write", number)
    assert len(told) == 7
    for name, each in told.items():
        kind, words = each["error"]
        assert kind in ("OutOfRoomError", "EngineError", "ResourceError"), each
        assert name in words, each
        assert os.strerror(number).lower() in words.lower()
        assert "make room" in words
        assert "\n" not in words
        assert each["kept"] or name == "weights.bin", each
        assert each["left"] == []


@needs_compiler
@pytest.mark.slow
def test_a_disk_that_tells_of_it_only_in_the_end_is_noticed_too(
    faults: Path, tmp_path: Path
) -> None:
    """Network file systems report a full disk at fsync."""
    told = failed_writes(faults, tmp_path, "fsync", errno.ENOSPC)
    for name in ("text.md", "records.jsonl", "scores.parquet", "artifact.zip", "a.journal"):
        assert name in told[name]["error"][1]
        assert "make room" in told[name]["error"][1]


@makes("the file system has no locks")
@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_told_and_nothing_is_written(
    faults: Path, tmp_path: Path, number: int
) -> None:
    told = failed_writes(faults, tmp_path, "flock", number)
    for name in ("a.journal", "weights.bin"):
        kind, words = told[name]["error"]
        assert kind == "NoLocksError"
        assert "has no locks" in words
        assert "put the folder on one that has them" in words
    assert told["a.journal"]["kept"]
    assert told["text.md"]["error"] is None


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_whatever_takes_a_lock_says_that_there_are_none(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the sum that a server's questions cost, their turns, the status and the lock file."""
    import fcntl

    from needlework import files
    from needlework.cluster import progress, status
    from needlework.engine.interruption import Interruption
    from needlework.engine.servers import predict
    from needlework.engine.servers.purse import Purse

    def no_locks(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "x.journal"
    file.write_bytes(b"")
    purse = Purse.__new__(Purse)
    vars(purse).update(_ledger=tmp_path / "spent")
    tried: dict[str, Callable[[], object]] = {
        "purse": lambda: purse._spent().__enter__(),
        "turn": lambda: predict._turn(file, Interruption()).__enter__(),
        "status": lambda: status._is_held(file),
        "models.lock.yaml": lambda: files.alone(file).__enter__(),
        "snakemake": progress._alone,
    }
    with file.open("rb") as orphan:
        tried["orphan"] = lambda: progress._await_orphan(orphan, file)
        for take in tried.values():
            with pytest.raises(NoLocksError, match=r"has no locks .* put the folder on one that"):
                take()


def test_locks_are_taken_in_one_place() -> None:
    """So that the next one says so, too."""
    found = [
        path.name
        for path in (ROOT / "src").rglob("*.py")
        if re.search(r"fcntl|lockf|\bflock\(", path.read_text(encoding="utf-8"))
    ]
    assert found == ["files.py"]


def needlework(*words: object) -> list[str]:
    return ["-c", "from needlework.cli import main; main()", *map(str, words)]


SAMPLES = 6


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the dataset of a small cell, and its predictions by a run without any fault."""
    folder = tmp_path_factory.mktemp("cell")
    spec = {"kind": "variable_tracking"}
    from needlework.study.catalogue import read_tasks

    spec = json.loads(read_tasks(ROOT / "config/tasks.yaml").nano.tasks["vt"].model_dump_json())
    (folder / "tasks.json").write_text(json.dumps({"vt": spec}))
    words = ["dataset", "--output", folder / "vt.jsonl", "--task", "vt", "--length", 128]
    words += ["--samples", SAMPLES, "--seed", 1, "--tokenizer", ROOT / "resources/nano/tokenizer"]
    words += ["--parameters", json.dumps(spec), "--material", "nano", "--wrapper", "base"]
    words += ["--protocol", "corrected"]
    done = subprocess.run(
        [sys.executable, *needlework(*words)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answered(folder, "calm")
    return folder


def predicting(folder: Path, output: Path, *more: object) -> list[str]:
    nano = ROOT / "resources/nano"
    words = ["predict", output, folder / "vt.jsonl", "--checkpoint", nano / "llama"]
    words += ["--tokenizer", nano / "tokenizer", "--tasks", folder / "tasks.json", *more]
    return needlework(*words, "--device", "cpu")


def answered(folder: Path, run_name: str, *more: object) -> Path:
    """Predictions of the cell, without any fault."""
    output = folder / run_name / "predictions/m/s/128.jsonl"
    done = subprocess.run(
        [sys.executable, *predicting(folder, output, *more)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return output


CALM = "calm/predictions/m/s/128.jsonl"


@makes("the clock jumps")
@needs_compiler
@pytest.mark.slow
def test_a_clock_that_jumps_changes_no_byte(faults: Path, cell: Path, tmp_path: Path) -> None:
    output = tmp_path / "predictions/m/s/128.jsonl"
    done = run(faults, predicting(cell, output), ROOT, FAULT_CLOCK="86400")
    assert done.returncode == 0, done.stderr
    assert output.read_bytes() == (cell / CALM).read_bytes()


@makes("a shard runs out of memory")
@makes("a node dies while shards are merged")
@needs_compiler
@pytest.mark.slow
def test_killed_shards_and_merges_are_done_again_to_the_same_bytes(
    faults: Path, cell: Path, tmp_path: Path
) -> None:
    """The kernel ends what runs out of memory as it ends everything: without a word."""
    shards = [tmp_path / f"shards/m/s/128/{n}of2.jsonl" for n in (1, 2)]
    for number, path in enumerate(shards, start=1):
        command = predicting(cell, path, "--shard", f"{number}/2")
        if number == 1:
            killed = run(faults, command, ROOT, FAULT_PATH=str(tmp_path / "shards"), FAULT_KILL="2")
            assert killed.returncode == -signal.SIGKILL
            assert not path.exists()
        done = run(faults, command, ROOT)
        assert done.returncode == 0, done.stderr
    output = tmp_path / "predictions/m/s/128.jsonl"
    merge = needlework("merge", output, *shards, "--tasks", cell / "tasks.json")
    killed = run(faults, merge, ROOT, FAULT_PATH=str(tmp_path / "predictions"), FAULT_KILL="1")
    assert killed.returncode == -signal.SIGKILL
    assert not output.exists()
    done = run(faults, merge, ROOT)
    assert done.returncode == 0, done.stderr
    assert output.read_bytes() == (cell / CALM).read_bytes()


@makes("the disk is full while a model answers")
@needs_compiler
@pytest.mark.slow
def test_a_full_disk_costs_no_finished_answer(faults: Path, cell: Path, tmp_path: Path) -> None:
    output = tmp_path / "predictions/m/s/128.jsonl"
    fault = {"FAULT_PATH": str(tmp_path), "FAULT_CALL": "write", "FAULT_ERRNO": str(errno.EDQUOT)}
    done = run(faults, predicting(cell, output), ROOT, **fault)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert re.match(r"needlework: .*128\.jsonl\.journal: .*make room and run again", last), last
    assert not output.exists()
    done = run(faults, predicting(cell, output), ROOT)
    assert done.returncode == 0, done.stderr
    assert output.read_bytes() == (cell / CALM).read_bytes()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@makes("the umask is not 022")
@pytest.mark.parametrize(("mask", "wanted"), [(0o002, 0o664), (0o022, 0o644), (0o077, 0o600)])
def test_whoever_may_read_and_write_says_the_umask(tmp_path: Path, mask: int, wanted: int) -> None:
    import polars as pl

    from needlework.engine.journal import Journal
    from needlework.files import write_text
    from needlework.scores import remarks

    before = os.umask(mask)
    try:
        write_text(tmp_path / "a/text.md", "x")
        remarks.write(pl.DataFrame({"a": [1]}), tmp_path / "a/b.parquet")
        with Journal(tmp_path / "a/c.journal"):
            pass
    finally:
        os.umask(before)
    assert {mode(path) for path in (tmp_path / "a").iterdir()} == {wanted}
    assert mode(tmp_path / "a") == 0o777 & ~mask


ADA, BEN, GROUP = 54321, 54322, 54320
"""Two users who are in nobody's list of users, which the kernel does not ask for."""


def as_user(user: int, work: Callable[[], object]) -> None:
    """Do something as a user of the group with the umask of a shared project."""
    child = os.fork()
    if not child:
        status = 1
        try:
            os.setgroups([])
            os.setgid(GROUP)
            os.setuid(user)
            os.umask(0o002)
            work()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that others reach; every start of pytest closes those of all runs of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@makes("two users share a project")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_a_colleague_goes_on_where_the_other_stopped(open_folder: Path) -> None:
    """One cell, begun by one user and finished by another, and what both write beside it."""
    from needlework import files
    from needlework.engine.journal import Entry, Journal
    from needlework.files import write_text

    shared = open_folder / "project"
    shared.mkdir()
    os.chown(shared, 0, GROUP)
    shared.chmod(0o2775)

    def entry(key: str) -> Entry:
        return Entry(key=key, tokens=(1, 2), stop_reason="end", libraries="l")

    def work(key: str, known: set[str]) -> None:
        with Journal(shared / "predictions/m/s/128.jsonl.journal") as lines:
            assert set(lines.entries(vocabulary=9)) == known
            lines.append([entry(key)])
        write_text(shared / "predictions/m/s/128.jsonl", key)
        with files.alone(shared / "external/weights.part"):
            (shared / "external/weights.part").open("ab").write(b"x")
        with files.alone(shared / "config/models.lock.yaml"):
            write_text(shared / "config/models.lock.yaml", key)

    def ada() -> None:
        (shared / "external").mkdir()
        work("ada", set())

    as_user(ADA, ada)
    as_user(BEN, lambda: work("ben", {"ada"}))
    as_user(ADA, lambda: work("eve", {"ada", "ben"}))
    assert (shared / "predictions/m/s/128.jsonl").read_text() == "eve"
    assert (shared / "predictions/m/s/128.jsonl").stat().st_uid == ADA
    assert {path.stat().st_gid for path in shared.rglob("*")} == {GROUP}


def test_the_table_and_the_tests_have_the_same_faults() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+?) \|", table, re.MULTILINE)
    assert {row for row in rows if row != "fault"} == MADE
