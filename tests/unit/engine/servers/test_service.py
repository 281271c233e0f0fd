"""A server inside the job: started from words, asked, ended whatever happens, started once more."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Timer

import pytest

from needlework.engine.interruption import Interruption, StoppedError
from needlework.engine.servers.cell import Setting
from needlework.engine.servers.service import Process
from needlework.errors import ServerError
from needlework.records import LIBRARIES
from needlework.study.served import Server, command
from tests.asking_for_tests import ask, tasks
from tests.servers_for_tests import KEY

SCRIPT = Path(__file__).parents[4] / "tests/own_server_for_tests.py"


def serving(words: str = "{port} 0", **keys: object) -> Server:
    given = {
        "serve": f"{sys.executable} {SCRIPT} {words}",
        "model": "tiny",
        "checkpoint": "me/tiny",
    }
    return Server.model_validate(given | {"timeout": 10.0, "concurrency": 2} | keys)


def process(folder: Path, server: Server) -> Process:
    return Process(server, checkpoint="me/tiny", log_file=folder / "server.log")


def children(of: str) -> list[int]:
    """Processes whose command line holds a word."""
    found = subprocess.run(["pgrep", "-f", of], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split() if int(line) != os.getpid()]


def await_end(of: str) -> list[int]:
    end = time.monotonic() + 30
    while (left := children(of)) and time.monotonic() < end:
        time.sleep(0.1)
    return left


def test_it_is_started_asked_and_ended(tmp_path: Path) -> None:
    with process(tmp_path, serving(f"{{port}} 0 {tmp_path}")) as running:
        assert children(str(tmp_path)) == []  # It is started when it is first needed.
        found = ask(tmp_path, serving(), service=running)
        assert children(str(tmp_path))
        assert running.url(Interruption()).startswith("http://127.0.0.1:")
    assert len(found) == 12
    assert all(each.error is None for each in found)
    assert children(str(tmp_path)) == []
    assert "listening" in (tmp_path / "server.log").read_text()


def test_it_is_asked_for_the_model_that_it_has_loaded(tmp_path: Path) -> None:
    """Servers name a model after the folder that they are told to load, not after its hub id."""
    server = serving("{port} 0 named={checkpoint}", model=None)
    place = str(tmp_path / "snapshots/0123")
    with Process(server, checkpoint=place, log_file=tmp_path / "server.log") as running:
        found = ask(tmp_path, server, service=running)
    assert len(found) == 12
    assert "model me/tiny" in found[0].others[LIBRARIES]


def test_a_wrong_name_is_told_of_our_own_server_too(tmp_path: Path) -> None:
    server = serving("{port} 0 named={checkpoint}", model="large")
    with process(tmp_path, server) as running, pytest.raises(ServerError, match="serves me/tiny"):
        ask(tmp_path, server, service=running)


def test_it_is_not_started_where_all_is_answered(tmp_path: Path) -> None:
    with process(tmp_path, serving()) as running:
        first = ask(tmp_path, serving(), service=running)
    (tmp_path / "server.log").unlink()
    with process(tmp_path, serving()) as running:
        assert ask(tmp_path, serving(), service=running) == first
    assert not (tmp_path / "server.log").exists()


def test_one_that_ends_is_started_once_more(tmp_path: Path) -> None:
    """Nine answers a life, of fourteen that are needed."""
    with process(tmp_path, serving("{port} 9")) as running:
        found = ask(tmp_path, serving(), service=running)
    assert len(found) == 12
    assert all(each.error is None for each in found)
    assert (tmp_path / "server.log").read_text().count("listening") == 2


def test_one_that_ends_twice_is_told_with_its_last_words(tmp_path: Path) -> None:
    words = "{port} 4 'CUDA error: out of memory' 'rank 3 gone'"
    with process(tmp_path, serving(words)) as running, pytest.raises(ServerError) as error:
        ask(tmp_path, serving(), service=running)
    said = "the server ended 2 times; its last words: .*CUDA error: out of memory . rank 3 gone"
    assert re.search(said, str(error.value))
    # What it did answer is kept.
    assert (tmp_path / "cell.jsonl.journal").read_bytes().count(b"\n") >= 4


def test_one_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    def kill() -> None:
        for each in children(f"{SCRIPT}.*{tmp_path}"):
            if "keeper" not in Path(f"/proc/{each}/cmdline").read_text():
                os.kill(each, signal.SIGKILL)

    with process(tmp_path, serving(f"{{port}} 0 {tmp_path}", concurrency=1)) as running:
        running.url(Interruption())
        timer = Timer(0.3, kill)
        timer.start()
        found = ask(tmp_path, serving(concurrency=1), tasks(30), service=running)
        timer.join()
    assert len(found) == 60
    assert all(each.error is None for each in found)
    assert (tmp_path / "server.log").read_text().count("listening") == 2
    journal = (tmp_path / "cell.jsonl.journal").read_bytes()
    assert journal.count(b"\n") == 60


@pytest.mark.parametrize("keeper", [False, True], ids=["alone", "with its keeper"])
def test_it_ends_with_a_job_that_is_killed(keeper: bool, tmp_path: Path) -> None:
    child = os.fork()
    if not child:
        running = process(tmp_path, serving(f"{{port}} 0 {tmp_path}"))
        running.url(Interruption())
        (tmp_path / "ready").touch()
        time.sleep(60)
        os._exit(0)
    end = time.monotonic() + 30
    while not (tmp_path / "ready").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert children(str(tmp_path))
    keepers = children(f"servers.keeper .*{tmp_path}") if keeper else []
    assert len(keepers) == keeper
    for each in (*keepers, child):
        os.kill(each, signal.SIGKILL)
    os.waitpid(child, 0)
    assert await_end(str(tmp_path)) == []


def test_one_that_does_not_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    with (
        process(tmp_path, serving("refuse {port}")) as running,
        pytest.raises(ServerError) as error,
    ):
        running.url(Interruption())
    assert str(error.value) == (
        "serve: the server ended before it was ready (exit code 1); its last words: no such "
        "checkpoint"
    )


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    server = serving().model_copy(update={"serve": "vllm-that-is-nowhere serve --port {port}"})
    said = "vllm-that-is-nowhere is not a command here"
    with process(tmp_path, server) as running, pytest.raises(ServerError, match=said):
        running.url(Interruption())


def test_a_job_that_is_stopped_does_not_wait_for_it(tmp_path: Path) -> None:
    asking = Interruption()
    asking.request()
    sleeping = serving().model_copy(update={"serve": "sleep 30 {port}"})
    with process(tmp_path, sleeping) as running, pytest.raises(StoppedError):
        running.url(asking)


def test_a_server_that_ends_with_its_job_is_not_started_again(tmp_path: Path) -> None:
    """Slurm sends its SIGTERM to every process of a job."""
    asking = Interruption(grace=5)
    with process(tmp_path, serving("{port} 5")) as running:
        running.url(asking)
        Timer(0.05, asking.request).start()
        with pytest.raises(StoppedError, match="run it again to continue"):
            ask(
                tmp_path,
                serving(concurrency=1),
                tasks(40),
                service=running,
                setting=Setting(interruption=asking),
            )
    assert (tmp_path / "server.log").read_text().count("listening") == 1


def test_its_log_holds_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUR_KEY", KEY)
    with process(tmp_path, serving(key="OUR_KEY")) as running:
        running.url(Interruption())
        assert KEY not in running.last_words()
    text = (tmp_path / "server.log").read_text()
    assert "listening, [key]" in text
    assert KEY not in text


def test_the_command_is_a_list_of_words() -> None:
    """No shell reads it, whatever a path holds."""
    line = "vllm serve {checkpoint} --port {port} --served-model-name {model} '{{}}'"
    server = serving().model_copy(update={"serve": line})
    path = "/data/a b; rm -rf ~"
    words = ["vllm", "serve", path, "--port", "8123", "--served-model-name", "tiny", "{}"]
    assert command(server, checkpoint=path, port=8123) == words
