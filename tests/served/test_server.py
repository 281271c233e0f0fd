"""A cell asked of `transformers serve`: killed, crowded, and behind a proxy that does all wrong."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from needlework.engine.interruption import Interruption
from needlework.engine.servers import client
from needlework.engine.servers.cell import predict_cell
from needlework.engine.servers.comparison import follow
from needlework.engine.servers.purse import Purse
from needlework.engine.servers.questions import Asked, Reader
from needlework.engine.servers.service import Endpoint, Process, Service
from needlework.errors import ServerError
from needlework.models import load
from needlework.records import Prediction, Sample
from needlework.study.served import Server
from tests import servers_for_tests as faults
from tests.servers_for_tests import KEY, Loopback, serving

pytestmark = pytest.mark.served

ROOT = Path(__file__).parents[2]
SERVE = "transformers serve {checkpoint} --host 127.0.0.1 --port {port} --device cpu"
VOCABULARY = ROOT / "resources/nano/tokenizer/tokenizer.json"
LIMIT = 8
MARGIN = 1e-4
"""Of the largest logit: how far float32 logits of two implementations are apart, at most; measured
2e-6 between transformers and our decoder on these prompts."""


def tasks(count: int) -> dict[str, Asked]:
    """Questions in the nano language: one number among others."""
    words = list(json.loads(VOCABULARY.read_text(encoding="utf-8"))["model"]["vocab"])
    numbers = [word for word in words if word.isdigit()]
    names = words[words.index("anchor") :][: count + 1]
    texts = [
        f"the magic number of {name} {numbers[place % len(numbers)]} . the magic number of "
        f"{names[count]} {numbers[-1]} . what is the magic number ? the magic number of {name}"
        for place, name in enumerate(names[:count])
    ]
    samples = [
        Sample(index=n, input=text, outputs=("no",), length=60) for n, text in enumerate(texts)
    ]
    return {"numbers": Asked(samples, LIMIT)}


def model(checkpoint: Path, **keys: object) -> Server:
    given = {"checkpoint": str(checkpoint), "timeout": 60.0, "concurrency": 4}
    return Server.model_validate(given | ({} if "endpoint" in keys else {"serve": SERVE}) | keys)


def reader(server: Server) -> Reader:
    place = VOCABULARY.parent
    return Reader(server, tokenizer=str(place), revision=None, begins=True, weights="nano-llama")


def ask(folder: Path, server: Server, service: Service, count: int = 24) -> list[Prediction]:
    return predict_cell(
        server,
        service,
        reader(server),
        tasks(count),
        purse=Purse(server, folder / ".spent"),
        journal=folder / "cell.jsonl.journal",
    )


@pytest.fixture(scope="module")
def running(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("server")
    place = {"checkpoint": str(checkpoint), "log_file": folder / "log"}
    with Process(model(checkpoint), **place) as process:  # type: ignore[arg-type]
        yield process


@pytest.fixture(scope="module")
def right(
    running: Process, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[Prediction]:
    return ask(tmp_path_factory.mktemp("right"), model(checkpoint), running)


def texts(found: list[Prediction]) -> list[str]:
    return [each.pred for each in found]


def test_answers_are_those_of_our_decoder(right: list[Prediction], checkpoint: Path) -> None:
    decoder, own = load(checkpoint), reader(model(checkpoint))
    for (_, _, question), answer in zip(own.questions(tasks(24)), right, strict=True):
        found = follow(
            decoder, question.tokens, answer.pred, own.tokenizer, limit=LIMIT, tolerance=MARGIN
        )
        assert found.whole
        assert answer.prompt_tokens == len(question.tokens)


@pytest.mark.parametrize(
    "fault",
    [
        faults.stall,
        faults.cut_off,
        faults.status(429, retry_after="0.1"),
        faults.status(500),
        faults.web_page,
        faults.no_json,
    ],
    ids=["stalls", "truncates", "429", "500", "HTML", "invalid JSON"],
)
def test_a_proxy_in_between_is_survived(
    fault: faults.Fault,
    running: Process,
    right: list[Prediction],
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "LONGEST_WAIT", 0.05)
    upstream = running.url(Interruption()).removesuffix("/v1")
    between = Loopback(upstream=upstream, models=None, faults=[None, None, fault, None, fault])
    with serving(between):
        server = model(checkpoint, endpoint=between.url, timeout=20.0)
        assert texts(ask(tmp_path, server, Endpoint(server))) == texts(right)


def test_a_proxy_that_sends_elsewhere_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    between = Loopback(models=None, faults=[faults.elsewhere("http://198.51.100.7/v1")] * 9)
    with serving(between):
        server = model(checkpoint, endpoint=between.url)
        with pytest.raises(ServerError, match="which is not followed"):
            ask(tmp_path, server, Endpoint(server))


def test_sixty_four_at_a_time_hold(
    running: Process, right: list[Prediction], checkpoint: Path, tmp_path: Path
) -> None:
    found = ask(tmp_path, model(checkpoint, concurrency=64, timeout=120.0), running, 80)
    assert all(each.error is None for each in found)
    assert texts(found)[: len(right)] == texts(right)


def test_a_budget_stops_before_it_is_passed(
    running: Process, right: list[Prediction], checkpoint: Path, tmp_path: Path
) -> None:
    """A price of one for each token: an answer costs about 35, and 24 are asked for."""
    prices, journal = {"input": 1e6, "output": 1e6}, tmp_path / "cell.jsonl.journal"
    with pytest.raises(ServerError, match=r"the budget of 400 .* would be passed"):
        ask(tmp_path, model(checkpoint, prices=prices, budget=400.0), running)
    assert 300 < float((tmp_path / ".spent").read_text()) <= 400
    kept = journal.read_bytes()
    found = ask(tmp_path, model(checkpoint, prices=prices, budget=1e4), running)
    assert texts(found) == texts(right)
    assert journal.read_bytes().startswith(kept)
    assert 0 < kept.count(b"\n") < journal.read_bytes().count(b"\n") == len(right)


def test_a_killed_client_goes_on(
    running: Process, right: list[Prediction], checkpoint: Path, tmp_path: Path
) -> None:
    upstream = running.url(Interruption()).removesuffix("/v1")
    between = Loopback(upstream=upstream, models=None, seconds=0.1)
    with serving(between):
        server = model(checkpoint, endpoint=between.url, concurrency=1)
        child = os.fork()
        if not child:
            ask(tmp_path, server, Endpoint(server))
            os._exit(0)
        journal = tmp_path / "cell.jsonl.journal"
        while not (journal.exists() and journal.read_bytes().count(b"\n") >= 5):
            time.sleep(0.02)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        kept = journal.read_bytes().count(b"\n")
        between.asked.clear()
        assert texts(ask(tmp_path, server, Endpoint(server))) == texts(right)
    assert len(between.asked) == 1 + len(right) - kept


def test_a_killed_server_is_started_again(
    right: list[Prediction], checkpoint: Path, tmp_path: Path
) -> None:
    server = model(checkpoint, concurrency=1)
    log_file = tmp_path / "log"
    with Process(server, checkpoint=str(checkpoint), log_file=log_file) as process:
        port = process.url(Interruption()).split(":")[2].removesuffix("/v1")
        found = subprocess.run(
            ["pgrep", "-f", f"^[^ ]*python[^ ]* [^ ]*transformers serve.*{port}"],
            capture_output=True,
            text=True,
            check=True,
        )
        (number,) = map(int, found.stdout.split())
        journal = tmp_path / "cell.jsonl.journal"

        def kill() -> None:
            while not (journal.exists() and journal.read_bytes().count(b"\n") >= 3):
                time.sleep(0.01)
            os.kill(number, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        assert texts(ask(tmp_path, server, process)) == texts(right)
        killer.join()
    assert log_file.read_text().count("Uvicorn running") == 2
    assert (tmp_path / "cell.jsonl.journal").read_bytes().count(b"\n") == len(right)


def test_no_key_is_on_the_disk(
    checkpoint: Path, running: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_KEY", KEY)
    server = model(checkpoint, endpoint=running.url(Interruption()), key="OUR_KEY")
    assert len(ask(tmp_path, server, Endpoint(server))) == 24
    found = subprocess.run(["grep", "-r", KEY, str(tmp_path)], capture_output=True, check=False)
    assert found.returncode == 1


def test_another_model_is_refused(running: Process, checkpoint: Path, tmp_path: Path) -> None:
    server = model(checkpoint, endpoint=running.url(Interruption()), model="me/other")
    with pytest.raises(ServerError, match=r"the first question fails, and so would all: .*pinned"):
        ask(tmp_path, server, Endpoint(server))
