"""Installed: what lies beside the package is found in a checkout and in an installation, a user's
own files come first, and the wheel has all of it.
"""

import runpy
from pathlib import Path

import pytest
import setuptools

from needlework import installed
from needlework.engine.servers import weights
from needlework.errors import StudyError
from needlework.external import locks
from needlework.external.locks import Lock
from needlework.study import plan
from needlework.study.catalogue import read_models, read_tasks
from needlework.study.served import Server
from tests.locks_for_tests import locked
from tests.study_for_tests import study_keys

ROOT = Path(__file__).parents[2]
OWN_MODEL = """
models:
  mine:
    {label: Mine, family: unknown, checkpoint: resources/nano/llama, tokenizer: nano,
     wrapper: base, trained_length: 512, licence: MIT}
  nano-llama:
    {label: Other, family: attention, checkpoint: resources/nano/llama, tokenizer: nano,
     wrapper: base, trained_length: 128, licence: MIT}
"""
MINE = {
    "label": "Mine",
    "family": "unknown",
    "checkpoint": "resources/nano/llama",
    "tokenizer": "nano",
    "wrapper": "base",
    "trained_length": 512,
    "licence": "MIT",
}


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with nothing in it."""
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def material(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What setup.py puts into the wheel beside the package."""
    monkeypatch.setattr(setuptools, "setup", lambda **_: None)
    return list(runpy.run_path(str(ROOT / "setup.py"))["MATERIAL"])


def test_the_source_distribution_holds_what_the_wheel_does_and_further_trainings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listed = [line.split() for line in (ROOT / "MANIFEST.in").read_text().splitlines()]
    named = [words[1] for words in listed if words[0] in ("include", "graft")]
    assert sorted(named) == sorted([*material(monkeypatch), "resources/nano-seeds"])
    assert all((ROOT / name).exists() for name in named)


def test_what_is_here_comes_before_what_is_packaged(empty: Path) -> None:
    packaged = installed.find("config/models.yaml")
    assert packaged == installed.root() / "config/models.yaml"
    Path("config").mkdir()
    Path("config/models.yaml").write_text("")
    assert installed.find("config/models.yaml") == Path("config/models.yaml")


def test_what_is_nowhere_is_left_for_others_to_refuse(empty: Path) -> None:
    assert installed.find("config/nothing.yaml") == Path("config/nothing.yaml")


def test_in_a_checkout_paths_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules name them, so a changed path would make everything anew."""
    monkeypatch.chdir(ROOT)
    for name in ("resources/nano/llama", "resources/published/ruler.csv", "config/config.yaml"):
        assert installed.find(name) == Path(name)
    assert installed.inputs() == [
        "Snakefile",
        "pyproject.toml",
        *(str(each) for each in sorted(Path("workflow").rglob("*")) if each.is_file()),
        *map(str, sorted(Path("config").rglob("*.yaml"))),
    ]


def test_an_installation_has_them_inside_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").mkdir()
    monkeypatch.setattr(installed, "INSIDE", tmp_path)
    assert installed.root() == tmp_path


def test_own_models_add_to_the_packaged_ones_and_win(empty: Path) -> None:
    Path("models.yaml").write_text(OWN_MODEL)
    found = read_models(Path("models.yaml"))
    assert found.models["mine"].trained_length == 512
    assert found.models["nano-llama"].trained_length == 128
    assert found.models["nano-mamba2"].trained_length == 256
    assert set(found.tokenizers) == set(read_models(Path("nothing/models.yaml")).tokenizers)


@pytest.mark.parametrize("text", ["", "models:\n", "tokenizers:\nmodels:\n"])
def test_a_file_without_entries_adds_nothing(empty: Path, text: str) -> None:
    Path("models.yaml").write_text(text)
    assert read_models(Path("models.yaml")) == read_models(Path("nothing/models.yaml"))


def test_a_mistake_in_own_models_is_told_of_that_file(empty: Path) -> None:
    Path("models.yaml").write_text("models: [mine]\n")
    with pytest.raises(StudyError, match=r"^models\.yaml: models: "):
        read_models(Path("models.yaml"))
    Path("models.yaml").write_text("modles:\n")
    with pytest.raises(StudyError, match="did you mean `models`"):
        read_models(Path("models.yaml"))


def test_own_tasks_and_lists_add_to_the_packaged_ones(empty: Path) -> None:
    Path("tasks.yaml").write_text(
        "nano:\n"
        "  tasks: {two: {generator: niah, haystack: repeat, keys: 2, tokens_to_generate: 5}}\n"
        "  lists: {mine: [two, vt]}\n"
    )
    found = read_tasks(Path("tasks.yaml"))
    assert list(found.nano.chosen("mine", None, where="")) == ["two", "vt"]
    assert found.english == read_tasks(Path("nothing/tasks.yaml")).english


def test_a_study_without_a_folder_of_its_own_is_resolved_from_the_package(empty: Path) -> None:
    found = plan.resolve(study_keys(), Path("config"))
    files = found.model_files("nano-llama")
    assert files
    assert all(Path(name).is_file() for name in files)
    assert found.models["nano-llama"].checkpoint == "resources/nano/llama"


def test_packaged_weights_of_a_served_model_are_at_hand(empty: Path) -> None:
    """They are read to be compared with what the server writes, so they are inputs too."""
    entry = MINE | {"backend": "server", "endpoint": "http://127.0.0.1:1/v1"}
    keys = study_keys(models=["mine"], entries={"models": {"mine": entry}}, tables="auto")
    assert plan.resolve(keys, Path("config")).checkpoint_files("mine")
    server = Server(endpoint=entry["endpoint"], checkpoint=entry["checkpoint"])
    assert weights.folder_of(server) == installed.root() / "resources/nano/llama"
    assert weights.named(server) != server.checkpoint


def test_a_study_may_describe_a_model_itself(empty: Path) -> None:
    keys = study_keys(models=["mine"], entries={"models": {"mine": MINE}}, tables="auto")
    found = plan.resolve(keys, Path("config"))
    assert found.models["mine"].trained_length == 512
    assert "entries" not in found.study.model_dump()
    keys["entries"] = {"models": {"mine": MINE | {"tokenizer": "nono"}}}
    with pytest.raises(StudyError, match=r"study config: entries: .*`nono` is unknown"):
        plan.resolve(keys, Path("config"))


def test_the_packaged_lock_is_known_where_there_is_none(empty: Path) -> None:
    packaged = locks.load(installed.root() / "config" / locks.NAME)
    assert locks.known(locks.PATH) == packaged
    hub, entry = next(iter(packaged.repositories.items()))
    locks.add(locks.PATH, hub, locked(entry.revision, "checkpoints"))
    own = locks.load(locks.PATH)
    assert own == Lock(repositories={hub: locked(entry.revision, "checkpoints")})
    assert locks.known(locks.PATH).find(hub, None) == own.find(hub, None)
    assert locks.known(locks.PATH).repositories.keys() == packaged.repositories.keys()
