"""A cell asked of a server on this machine."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from needlework.engine.servers.cell import Setting, predict_cell
from needlework.engine.servers.purse import Purse
from needlework.engine.servers.questions import Asked, Reader
from needlework.engine.servers.service import Endpoint, Service
from needlework.records import Prediction, Sample
from needlework.study.served import Server
from tests.servers_for_tests import Loopback, completion

LIMIT = 4


def sample(index: int, words: Sequence[int], *outputs: str) -> Sample:
    text = " ".join(map(str, words))
    return Sample(index=index, input=text, outputs=outputs or ("7",), length=len(words) + LIMIT + 1)


def tasks(count: int = 6) -> dict[str, Asked]:
    """Two tasks; prompts of equal index begin alike."""
    return {
        task: Asked([sample(n, [3 + n, 4, 5, end]) for n in range(count)], LIMIT)
        for task, end in (("one", 8), ("two", 9))
    }


def model(url: str, **keys: object) -> Server:
    given = {"endpoint": url, "model": "tiny", "timeout": 20.0, "checkpoint": "me/tiny"} | keys
    return Server.model_validate(given)


def reader_of(server: Server) -> Reader:
    return Reader(server, tokenizer="numbers", revision=None, begins=True, weights="w")


def ask(
    folder: Path,
    server: Server,
    asked: Mapping[str, Asked] | None = None,
    *,
    service: Service | None = None,
    setting: Setting | None = None,
) -> list[Prediction]:
    return predict_cell(
        server,
        service or Endpoint(server),
        reader_of(server),
        tasks() if asked is None else asked,
        purse=Purse(server, folder / ".spent"),
        journal=folder / "cell.jsonl.journal",
        setting=setting,
    )


def echo(body: dict[str, object]) -> dict[str, object]:
    """A model that repeats the last word of its prompt."""
    prompt = body["prompt"]
    last = prompt[-1] if isinstance(prompt, list) else str(prompt).split()[-1]
    return completion(f" {last}")


def echoing(**others: object) -> Loopback:
    return Loopback(write=echo, **others)  # type: ignore[arg-type]
