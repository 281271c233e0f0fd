"""A run that fails says why, job by job, whatever a job managed to say itself."""

import logging
from pathlib import Path

import pytest

from needlework.cluster import failures
from needlework.cluster.failures import Failures


def heard(
    *ends: str,
    log: Path,
    command: str = "needlework predict",
    quiet: bool = False,
    said: str = "Error in rule predict, jobid: 1",
) -> Failures:
    """What is heard when Snakemake tells of an end, and then of the job."""
    found = Failures(quiet=quiet)
    for end in ends:
        found.handle(logging.makeLogRecord({"msg": end, "levelno": logging.ERROR}))
    about = {"rule_name": "predict", "log": [str(log)], "output": ["p/128.jsonl"]}
    record = {"msg": said, "levelno": logging.ERROR, "shellcmd": command} | about
    found.handle(logging.makeLogRecord(record))
    return found


def ended(how: str, command: str = "needlework predict") -> str:
    return (
        f"RuleException:\nCalledProcessError in file x, line 3:\nCommand 'set -e; {command}' {how}."
    )


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("returned non-zero exit status 137", "killed by SIGKILL, as by the kernel when memory"),
        ("died with <Signals.SIGKILL: 9>", "killed by SIGKILL, as by the kernel when memory"),
        ("returned non-zero exit status 139", "killed by SIGSEGV"),
        ("died with <Signals.SIGTERM: 15>", "killed by SIGTERM"),
        ("returned non-zero exit status 3", "ended with exit status 3"),
    ],
)
def test_a_job_without_a_word_is_named_with_its_end(how: str, told: str, tmp_path: Path) -> None:
    log = tmp_path / "logs/predict/128.log"
    (line,) = failures.told(heard(ended(how), log=log).jobs)
    assert line.startswith(f"{log}: p/128.jsonl: {told}")
    assert "without a word of its own" in line


def test_the_end_is_left_in_the_log_for_later(tmp_path: Path) -> None:
    log = tmp_path / "128.log"
    log.write_text("samples=3/50\n")
    failures.told(heard(ended("returned non-zero exit status 137"), log=log).jobs)
    (words,) = failures.last_words(log)
    assert words.startswith("needlework: killed by SIGKILL")
    assert log.read_text().startswith("samples=3/50\n")


def test_what_a_job_said_itself_comes_first(tmp_path: Path) -> None:
    log = tmp_path / "128.log"
    log.write_text("needlework: the longest prompt does not fit\n")
    (line,) = failures.told(heard(ended("returned non-zero exit status 2"), log=log).jobs)
    assert line == f"{log}: needlework: the longest prompt does not fit"


def test_each_job_has_its_own_end(tmp_path: Path) -> None:
    """Two may fail at once, and their messages come as they like."""
    others = ended("returned non-zero exit status 137", "another command")
    own = ended("returned non-zero exit status 3")
    (line,) = failures.told(heard(others, own, log=tmp_path / "128.log").jobs)
    assert "exit status 3" in line


def test_what_slurm_says_is_told(tmp_path: Path) -> None:
    said = (
        "Error in rule predict, message: SLURM-job '77' failed, SLURM status is: 'OUT_OF_MEMORY'."
    )
    (line,) = failures.told(heard(log=tmp_path / "128.log", said=said).jobs)
    assert "ended by Slurm as OUT_OF_MEMORY (job 77)" in line


def test_a_log_that_cannot_be_written_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where a folder should be")
    log = tmp_path / "logs/128.log"
    (line,) = failures.told(heard(ended("returned non-zero exit status 3"), log=log).jobs)
    assert "exit status 3" in line


@pytest.mark.parametrize("quiet", [True, False])
def test_errors_are_said_where_snakemake_is_quiet(
    quiet: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "MissingInputException in rule predict:\nMissing input files:\n    model.safetensors"
    record = {"msg": text, "levelno": logging.ERROR}
    Failures(quiet=quiet).handle(logging.makeLogRecord(record))
    said = capsys.readouterr().err
    one_line = "needlework: MissingInputException in rule predict: Missing input files: "
    assert said == (f"{one_line}model.safetensors\n" if quiet else "")


@pytest.mark.parametrize("stopped", [True, False])
def test_a_job_that_was_stopped_with_its_run_is_not_to_blame(stopped: bool, tmp_path: Path) -> None:
    log = tmp_path / "128.log"
    log.write_text("samples=3/50\n")
    jobs = heard(ended("died with <Signals.SIGTERM: 15>"), log=log).jobs
    assert len(failures.told(jobs, stopped=stopped)) == (0 if stopped else 1)
    assert (log.read_text() == "samples=3/50\n") is stopped


def test_a_job_that_said_why_is_told_of_in_a_stopped_run_too(tmp_path: Path) -> None:
    log = tmp_path / "128.log"
    log.write_text("needlework: the longest prompt does not fit\n")
    jobs = heard(ended("died with <Signals.SIGTERM: 15>"), log=log).jobs
    assert failures.told(jobs, stopped=True) == [f"{log}: {log.read_text().strip()}"]
