"""Progress: one run at a time in a folder, and failures told in one line each."""

import fcntl
import multiprocessing
import os
from contextlib import closing
from pathlib import Path

import pytest

from needlework.cluster import progress
from needlework.cluster.failures import Failed, Failures
from needlework.engine.progress import cells_done


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to run in; the variable for jobs is put back afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(progress.RUN, "")
    monkeypatch.delenv(progress.RUN)
    return tmp_path


def run(folder: Path) -> progress.Run:
    return progress.Run(folder / "results", folder / "logs", Failures(quiet=False))


def prediction(folder: Path, name: str, *, seconds: float) -> Path:
    """A prediction file changed so long after the epoch."""
    path = folder / "predictions" / "model" / "ruler" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (seconds, seconds))
    return path


def test_a_run_says_what_it_will_do(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(run(folder)) as here:
        here.begin(["dataset", "predict", "predict", "score"])
    told = capsys.readouterr().err
    assert "1 datasets to make, 2 cells to compute, 4 jobs in all" in told


def test_a_second_run_in_the_same_folder_ends(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(run(folder)) as first:
        first.begin([])
        with pytest.raises(SystemExit) as ended:
            run(folder).begin([])
    assert ended.value.code == 2
    assert "another snakemake is working in" in capsys.readouterr().err


def begin_and_die(folder: Path) -> None:
    """What a process does that is killed while it holds the folder."""
    os.chdir(folder)
    run(folder).begin([])
    os._exit(9)


def test_a_killed_run_leaves_no_lock(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Snakemake's own lock would ask for --unlock."""
    victim = multiprocessing.get_context("spawn").Process(target=begin_and_die, args=(folder,))
    victim.start()
    victim.join()
    with closing(run(folder)) as here:
        here.begin(["predict"])
    assert "1 cells to compute" in capsys.readouterr().err


def test_a_finished_run_lets_the_next_one_in(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run(folder)
    first.begin([])
    first.succeed()
    with closing(run(folder)) as second:
        second.begin(["predict"])
    assert capsys.readouterr().err.splitlines()[-1].endswith("1 cells to compute, 1 jobs in all")


def test_a_free_journal_is_not_waited_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prediction(folder / "results", "256.jsonl.journal", seconds=1)
    with closing(run(folder)) as here:
        here.begin([])
    assert "waiting" not in capsys.readouterr().err


def test_a_journal_that_a_job_still_writes_is_waited_for(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed Snakemake leaves its jobs behind; they finish their cell undisturbed."""
    journal = prediction(folder / "results", "256.jsonl.journal", seconds=1)
    lock = fcntl.flock
    with journal.open("rb") as writer, closing(run(folder)) as here:
        lock(writer, fcntl.LOCK_EX)

        def freed_when_waited_for(file: object, operation: int) -> None:
            if operation == fcntl.LOCK_SH:
                lock(writer, fcntl.LOCK_UN)
            lock(file, operation)  # type: ignore[arg-type]

        monkeypatch.setattr(fcntl, "flock", freed_when_waited_for)
        here.begin([])
    assert "waiting for a job that still writes" in capsys.readouterr().err


def test_cells_of_this_run_are_counted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One made before the run began was not computed by it."""
    monkeypatch.setenv(progress.RUN, "100.0 4")
    prediction(folder, "128.jsonl", seconds=50)
    path = prediction(folder, "256.jsonl", seconds=150)
    assert cells_done(path) == "1 of 4 cells"


def test_outside_a_workflow_there_is_nothing_to_count(folder: Path) -> None:
    assert cells_done(prediction(folder, "128.jsonl", seconds=1)) == ""


def test_a_failure_is_told_with_its_log(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And what other jobs wrote into theirs is not."""
    logs = folder / "logs/score"
    logs.mkdir(parents=True)
    failing = run(folder)
    (logs / "good.log").write_text("7 of 8 cells\n", encoding="utf-8")
    (logs / "bad.log").write_text("needlework: a.jsonl:3: torn\n", encoding="utf-8")
    (logs / "bug.log").write_text("Traceback (most recent call last):\nKeyError: 1\n", "utf-8")
    (logs / "old.log").write_text("needlework: long ago\n", encoding="utf-8")
    os.utime(logs / "old.log", (1, 1))
    failing.began -= 1
    failing.fail()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "needlework: failed"
    assert [line.rpartition("/")[2] for line in lines[1:]] == [
        "bad.log: needlework: a.jsonl:3: torn",
        "bug.log: KeyError: 1",
    ]


def job(folder: Path, signal: str) -> Failed:
    """A job that such a signal ended before it said a word."""
    return Failed("predict", "p/128.jsonl", folder / "logs/128.log", f"killed by {signal}")


def test_jobs_that_ctrl_c_ended_are_not_to_blame(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = run(folder)
    here.failures.jobs.append(job(folder, "SIGINT"))
    here.fail()
    told = capsys.readouterr().err
    assert told.startswith("needlework: stopped, as it was asked to\n")
    assert "128.log" not in told
    assert not (folder / "logs").exists()


def test_a_job_that_was_killed_alone_is_told_of(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = run(folder)
    here.failures.jobs.append(job(folder, "SIGTERM"))
    here.fail()
    assert "128.log: p/128.jsonl: killed by SIGTERM" in capsys.readouterr().err
