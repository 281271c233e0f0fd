"""The job of a server that it starts: cell after cell, each with a file of its own."""

import sys
from pathlib import Path

import pytest

from needlework.engine.servers.predict import Model, serve
from needlework.errors import ServerError
from needlework.files import read_records, write_records
from needlework.parsing import parse, read
from needlework.records import Prediction
from needlework.study.served import ServedCell, Server
from needlework.study.served_records import Served
from tests.asking_for_tests import sample
from tests.study_for_tests import small_plan
from tests.unit.engine.servers.test_service import SCRIPT

TASK = small_plan().tasks["ruler"]["vt"]


def cells(folder: Path, lengths: tuple[int, ...] = (10, 20)) -> list[ServedCell]:
    found = []
    for length in lengths:
        path = folder / f"data/{length}/vt.jsonl"
        write_records(path, [sample(n, [3 + n, length, 9]) for n in range(4)])
        found.append(ServedCell(suite="few", length=length, datasets=(path,), tasks={"vt": TASK}))
    return found


def job(folder: Path, words: str = "{port} 0", lengths: tuple[int, ...] = (10, 20)) -> Path:
    server = Server(
        checkpoint="me/tiny",
        model="tiny",
        serve=f"{sys.executable} {SCRIPT} {words}",
        concurrency=1,
        repeated=2,
        timeout=20.0,
    )
    model = Model(server=server, tokenizer="n", tokenizer_revision=None, protocol="corrected")
    output = folder / "results/study/served/large.json"
    serve(output, cells(folder, lengths), model=model, server_log=folder / "server.log")
    return output


def test_every_cell_has_its_file_and_the_server_its_record(tmp_path: Path) -> None:
    output = job(tmp_path)
    for length in (10, 20):
        path = output.with_suffix("") / f"few/{length}.jsonl"
        found = read_records(path, Prediction)
        assert [each.pred for each in found] == [" 9"] * 4
        assert found[0].others["backend"] == "server"
    known = parse(Served, read(output), where="large.json")
    assert (known.repeats.asked, known.repeats.different) == (2, 0)
    assert known.reads == "token ids"
    assert len(known.trials) == 2
    assert (tmp_path / "server.log").read_text().count("listening") == 1


def test_a_job_goes_on_with_the_next_cell(tmp_path: Path) -> None:
    job(tmp_path, lengths=(10,))
    (tmp_path / "server.log").unlink()
    output = job(tmp_path, lengths=(10, 20))
    asked = output.with_suffix("") / "few/20.jsonl.journal"
    assert asked.read_bytes().count(b"\n") == 4
    assert (output.with_suffix("") / "few/10.jsonl.journal").read_bytes().count(b"\n") == 4


def test_a_cell_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    """The server ends after each answer: no cell of four can be answered with two starts, and each
    says so."""
    with pytest.raises(ServerError) as error:
        job(tmp_path, "{port} 2 'out of memory'")
    assert "large/few/10: large/few/10: the server ended 2 times" in str(error.value)
    assert "large/few/20: large/few/20: the server ended 2 times" in str(error.value)
    assert not (tmp_path / "results/study/served/large.json").exists()
    # What it did answer is kept, so another try goes on.
    kept = tmp_path / "results/study/served/large/few/10.jsonl.journal"
    assert kept.read_bytes().count(b"\n") == 2


def test_a_server_that_cannot_be_started_is_tried_once(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="no such checkpoint"):
        job(tmp_path, "refuse {port}")
    assert (tmp_path / "server.log").read_text().count("no such checkpoint") == 1
