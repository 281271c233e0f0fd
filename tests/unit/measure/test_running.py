"""What a measurement does before Snakemake runs: fetching, leaving out, refusing in one line."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from needlework import cli
from needlework.external import fetching, registry
from needlework.external.locks import load
from needlework.measure import running
from needlework.measure.describing import describe
from needlework.measure.question import Question
from needlework.study.catalogue import read_models
from tests.hub_for_tests import COMMIT, Hub, needlework, serving
from tests.unit.measure.test_describing import LLAMA

FILES = {
    "config.json": json.dumps(LLAMA).encode(),
    "tokenizer.json": b'{"model": {}}',
    "model.safetensors": bytes(1000),
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, without a mirror."""
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("NEEDLEWORK_MIRROR", raising=False)
    return folder


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit code of `needlework measure`."""
    monkeypatch.setattr(sys, "argv", ["needlework", "measure", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nano-lama"], "did you mean `nano-llama`"),
        (["nano-llama", "--tasks", "vtt"], "did you mean `vt`"),
        (["nano-llama", "--tasks", "vt,,cwe"], "has an empty value"),
        (["nano-llama", "--lengths", "512,128"], "must ascend"),
        (["nano-llama", "--lengths", "1k"], "is no list of lengths"),
        (["nano-llama", "--samples", "0"], "is not in the range"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    words: list[str],
    told: str,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert list(here.iterdir()) == []


def offline() -> fetching.Fetcher:
    return fetching.Fetcher(
        registry=registry.registry(), directory=registry.DIRECTORY, offline=True
    )


def test_questions_that_cannot_be_had_are_left_out_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    catalogue = read_models(Path("config/models.yaml"))
    found = describe("mamba2", catalogue, fetch=Path, dtype="float32")
    tasks = running._tasks(Question("mamba2"), found, offline())
    assert "qa_1" not in tasks
    assert "qa_2" not in tasks
    assert len(tasks) == 11
    told = capsys.readouterr().out.splitlines()
    assert [line.partition(",")[0] for line in told] == ["left out: qa_1", "left out: qa_2"]


def test_questions_that_were_asked_for_are_not_left_out() -> None:
    catalogue = read_models(Path("config/models.yaml"))
    found = describe("mamba2", catalogue, fetch=Path, dtype="float32")
    assert running._tasks(Question("mamba2", tasks=("qa_1",)), found, offline()) == ["qa_1"]


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(Hub("me/tiny", dict(FILES))) as running_hub:
        yield running_hub


def test_a_repository_is_locked_and_fetched_once(here: Path, hub: Hub) -> None:
    """It goes no further here, for its tokenizer is none; that is told in one line."""
    for _ in range(2):
        done = needlework(here, hub, "measure", "me/tiny")
        assert done.returncode == 2, done.stderr
        assert "is not a tokenizer" in done.stderr
    entry = load(here / "config/models.lock.yaml").find("me/tiny", None)
    assert entry is not None
    assert entry.revision == COMMIT
    there = here / f"resources/external/checkpoints/me--tiny/{COMMIT}"
    assert (there / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    names = [name for name, _ in hub.downloads()]
    assert names.count("model.safetensors") == 1


def test_a_hub_id_that_nobody_has_is_one_line(here: Path, hub: Hub) -> None:
    done = needlework(here, hub, "measure", "me/nothing")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "me/nothing" in done.stderr


def test_a_length_that_is_too_short_for_a_task_is_refused_before_anything_runs(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(running, "_run", lambda path: pytest.fail("Snakemake was started"))
    words = ["nano-llama", "--tasks", "niah_single_1,cwe", "--lengths", "12,64", "--samples", "3"]
    assert run(monkeypatch, *words) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert "--lengths 12: too short, for" in line
    least = int(line.partition("name lengths from ")[2].split()[0])
    monkeypatch.setattr(running, "_run", lambda path: 1)
    assert run(monkeypatch, *words[:3], "--lengths", str(least), "--samples", "3") == 1
    assert run(monkeypatch, *words[:3], "--lengths", str(least - 1), "--samples", "3") == 2
