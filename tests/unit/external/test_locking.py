"""Locking and fetching what a study needs: the real client, and a hub on this machine."""

import hashlib
import json
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from needlework.errors import ResourceError
from needlework.external import locks
from needlework.study import downloads
from tests.hub_for_tests import COMMIT, TOKEN, Hub, needlework, serving
from tests.study_for_tests import CONFIG, study_keys

NAME, SECOND = "me/tiny", "f" * 40
WEIGHTS = bytes(range(256)) * 4000
FILES = {
    "config.json": b'{"model_type": "llama"}',
    "tokenizer.json": b'{"model": {}}',
    "manifest.json": b'{"hub": "me/tiny", "files": {}}',
    "model.safetensors": WEIGHTS,
    "README.md": b"words",
}
FETCH = ("fetch", "--configfile", "study.yaml")


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(Hub(NAME, dict(FILES))) as running:
        yield running


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A study of one model, whose checkpoint and tokenizer are a repository of the hub."""
    (tmp_path / "config").mkdir()
    shutil.copy(CONFIG / "tasks.yaml", tmp_path / "config")
    catalogue = yaml.safe_load((CONFIG / "models.yaml").read_text(encoding="utf-8"))
    model = catalogue["models"]["nano-llama"] | {"checkpoint": NAME, "tokenizer": "tiny"}
    write(
        tmp_path / "config/models.yaml",
        {"tokenizers": {"tiny": {"source": NAME}}, "models": {"tiny": model}},
    )
    keys = study_keys(
        models=["tiny"],
        suites={"ruler": {"lengths": [128]}},
        tables=[{"name": "mean", "suite": "ruler"}],
    )
    write(tmp_path / "study.yaml", keys)
    return tmp_path


def write(path: Path, content: object) -> None:
    path.write_text(yaml.safe_dump(content), encoding="utf-8")


def lock_of(project: Path) -> locks.Lock:
    return locks.load(project / locks.PATH)


def folder_of(project: Path, commit: str = COMMIT) -> Path:
    return project / f"resources/external/checkpoints/me--tiny/{commit}"


def only_line(done: "subprocess.CompletedProcess[str]") -> str:
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    return done.stderr


def test_everything_is_locked_then_fetched(project: Path, hub: Hub) -> None:
    """A file of the repository that is called as our own mark is never taken."""
    done = needlework(project, hub, *FETCH)
    assert done.returncode == 0, done.stderr
    entry = lock_of(project).repositories[NAME]
    assert entry.revision == COMMIT
    assert entry.checkpoints is not None
    assert entry.tokenizers is not None
    assert {name: (each.bytes, each.sha256) for name, each in entry.checkpoints.items()} == {
        name: (len(FILES[name]), hashlib.sha256(FILES[name]).hexdigest())
        for name in ("config.json", "model.safetensors", "tokenizer.json")
    }
    assert entry.tokenizers.keys() == {"tokenizer.json"}
    assert (folder_of(project) / "model.safetensors").read_bytes() == WEIGHTS
    assert f"locked checkpoints {NAME} at {COMMIT}: 3 files, 1.0 MB" in done.stdout
    assert done.stdout.endswith(
        "study.yaml: all that it needs is here (2 files and repositories)\n"
    )


def test_a_second_time_nothing_is_asked_and_nothing_changes(project: Path, hub: Hub) -> None:
    needlework(project, hub, *FETCH)
    lock, seen = (project / locks.PATH).stat(), (project / locks.PATH).read_bytes()
    hub.asked.clear()
    for words in (FETCH, (*FETCH, "--offline")):
        assert needlework(project, hub, *words).returncode == 0
    assert hub.asked == []
    assert (project / locks.PATH).read_bytes() == seen
    assert (project / locks.PATH).stat().st_ino == lock.st_ino


def test_it_is_that_or_nothing_when_the_hub_moves_on(project: Path, hub: Hub) -> None:
    """The files of the old commit are gone from this hub, so a lost one cannot be had."""
    needlework(project, hub, *FETCH)
    hub.commit, hub.files = SECOND, FILES | {"config.json": b"{}"}
    (folder_of(project) / "config.json").unlink()
    done = needlework(project, hub, *FETCH)
    assert f"{NAME}/resolve/{COMMIT}/config.json cannot be had" in only_line(done)
    assert lock_of(project).repositories[NAME].revision == COMMIT
    assert not folder_of(project, SECOND).exists()


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_other_bytes_at_a_locked_commit_are_refused(project: Path, hub: Hub, name: str) -> None:
    """Even where the hub's own listing follows them."""
    needlework(project, hub, *FETCH)
    (folder_of(project) / name).unlink()
    hub.files = FILES | {name: FILES[name][::-1]}
    line = only_line(needlework(project, hub, *FETCH))
    assert f"{NAME} at {COMMIT}: {name} has sha256" in line
    assert "the hub serves other bytes; do not use them" in line
    assert not (folder_of(project) / name).exists()
    hub.files = FILES
    assert needlework(project, hub, *FETCH).returncode == 0


def test_a_killed_fetch_goes_on(project: Path, hub: Hub) -> None:
    """Killed inside of the weights: the lock is whole, and what came is not asked for again."""
    hub.breaks_after = 200_000
    command = [sys.executable, "-c", "from needlework.cli import main; main()", *FETCH]
    started = subprocess.Popen(command, cwd=project, env=hub.environment())
    part = folder_of(project) / "model.safetensors.part"
    while not (part.exists() and part.stat().st_size >= 200_000):
        assert started.poll() is None
    started.send_signal(signal.SIGKILL)
    started.wait()
    locked, done = lock_of(project), part.stat().st_size
    hub.breaks_after = None
    hub.asked.clear()
    assert needlework(project, hub, *FETCH).returncode == 0
    assert hub.downloads() == [("model.safetensors", f"bytes={done}-")]
    assert lock_of(project) == locked


def test_two_fetches_at_once_agree(project: Path, hub: Hub) -> None:
    command = [sys.executable, "-c", "from needlework.cli import main; main()", *FETCH]
    both = [subprocess.Popen(command, cwd=project, env=hub.environment()) for _ in range(2)]
    assert [each.wait() for each in both] == [0, 0]
    assert lock_of(project).repositories[NAME].revision == COMMIT
    assert [name for name, _ in hub.downloads()].count("model.safetensors") == 1


def test_a_pin_is_moved_and_what_changed_is_told(project: Path, hub: Hub) -> None:
    needlework(project, hub, *FETCH)
    done = needlework(project, hub, "pin", "--update", NAME)
    assert done.stdout == f"{NAME}: {COMMIT} -> {COMMIT}\n"
    hub.commit = SECOND
    hub.files = FILES | {"config.json": b"{}", "special_tokens_map.json": b"{}"}
    done = needlework(project, hub, "pin", "--update", NAME)
    assert done.returncode == 0, done.stderr
    told = [line.split(", sha256")[0] for line in done.stdout.splitlines()]
    assert told == [
        f"{NAME}: {COMMIT} -> {SECOND}",
        "  checkpoints: ~ config.json: 23 bytes",
        "  checkpoints: + special_tokens_map.json: 2 bytes",
        "  tokenizers: + special_tokens_map.json: 2 bytes",
    ]
    entry = lock_of(project).repositories[NAME]
    assert entry.revision == SECOND
    assert not (folder_of(project, SECOND) / "model.safetensors").exists()
    assert needlework(project, hub, *FETCH).returncode == 0
    assert (folder_of(project, SECOND) / "manifest.json").exists()


def test_a_commit_that_models_name_stays_when_the_pin_moves(project: Path, hub: Hub) -> None:
    """Here the tokenizer's: its bytes are not believed a second time."""
    needlework(project, hub, *FETCH)
    before = lock_of(project).repositories[NAME]
    models = project / "config/models.yaml"
    content = yaml.safe_load(models.read_text(encoding="utf-8"))
    content["tokenizers"]["tiny"]["revision"] = COMMIT
    write(models, content)
    hub.commit = SECOND
    assert needlework(project, hub, "pin", "--update", NAME).returncode == 0
    entries = lock_of(project).repositories
    assert entries[f"{NAME}@{COMMIT}"] == before
    assert (entries[NAME].revision, entries[NAME].tokenizers) == (SECOND, None)
    assert needlework(project, hub, *FETCH).returncode == 0


def test_a_pin_that_cannot_be_moved_is_one_line(project: Path, hub: Hub) -> None:
    assert "did you mean `me/tiny`?" in only_line(
        needlework(project, hub, "pin", "--update", "me/tyni")
    )
    models = project / "config/models.yaml"
    content = yaml.safe_load(models.read_text(encoding="utf-8"))
    content["models"]["tiny"]["revision"] = COMMIT
    content["tokenizers"]["tiny"]["revision"] = COMMIT
    write(models, content)
    line = only_line(needlework(project, hub, "pin", "--update", NAME))
    assert f"gives {NAME} a `revision` of its own ({COMMIT}), which wins over the lock" in line


def test_a_revision_that_the_hub_has_not_is_one_line(project: Path, hub: Hub) -> None:
    models = project / "config/models.yaml"
    text = models.read_text(encoding="utf-8")
    models.write_text(
        text.replace(f"checkpoint: {NAME}", f"checkpoint: {NAME}\n    revision: '{SECOND}'")
    )
    line = needlework(project, hub, *FETCH).stderr
    assert line.startswith(f"needlework: {NAME} at {SECOND}: the hub has no such commit; correct")
    assert line.count("\n") == 1


def test_terms_are_told_with_the_way_to_accept_them(project: Path, hub: Hub) -> None:
    hub.gated = True
    line = only_line(needlework(project, hub, *FETCH))
    assert f"open https://huggingface.co/{NAME}, accept them, and set HF_TOKEN" in line
    assert not (project / locks.PATH).exists()
    assert needlework(project, hub, *FETCH, HF_TOKEN=TOKEN).returncode == 0


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"hub_id": "you/other"}, "the hub has no such repository, or hides it from you"),
        ({"commit": "main"}, "the hub says that its commit is main"),
        ({"files": {"config.json": b"{}"}}, "has no checkpoints among its files (config.json)"),
    ],
)
def test_what_the_hub_has_not_is_one_line(
    project: Path, hub: Hub, changed: dict[str, object], told: str
) -> None:
    vars(hub).update(changed)
    assert told in only_line(needlework(project, hub, *FETCH))
    assert not (project / locks.PATH).exists()


LISTED = f'{{"id": "me/tiny", "sha": "{COMMIT}", "siblings": [%s]}}'
SHORT = (
    '{"rfilename": "model.safetensors", "lfs": {"size": 1, "sha256": "short", "pointerSize": 1}}'
)


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>Log in</html>",
        b"[]",
        b"null",
        b'{"siblings": [{}]}',
        (LISTED % '{"rfilename": "model.safetensors"}').encode(),
        (LISTED % '{"rfilename": 7, "size": 1}').encode(),
        (LISTED % '{"rfilename": "model.safetensors", "size": "many"}').encode(),
        (LISTED % SHORT).encode(),
    ],
)
def test_what_is_no_hub_is_one_line(
    project: Path, hub: Hub, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A captive portal answers everything."""
    monkeypatch.setattr(hub, "listing", lambda: answer)
    line = only_line(needlework(project, hub, *FETCH))
    assert "what answers is not the hub" in line or "commit is None" in line


def test_a_hub_that_cannot_be_reached_is_one_line(project: Path) -> None:
    nobody = Hub(NAME, {}, url="http://127.0.0.1:1")
    assert f"{NAME} cannot be had from the hub" in only_line(needlework(project, nobody, *FETCH))
    line = only_line(needlework(project, nobody, *FETCH, "--offline"))
    assert f"{NAME} has no commit in config/models.lock.yaml and --offline forbids" in line


def test_a_torn_lock_is_left_alone(project: Path, hub: Hub) -> None:
    needlework(project, hub, *FETCH)
    path = project / locks.PATH
    torn = path.read_bytes()[:-200]
    path.write_bytes(torn)
    for words in (FETCH, ("pin", "--update", NAME)):
        assert "git checkout config/models.lock.yaml" in only_line(needlework(project, hub, *words))
    assert path.read_bytes() == torn


def test_a_full_disk_is_one_line_and_what_came_is_kept(project: Path, hub: Hub) -> None:
    """No file may grow beyond a limit here, which fails as a full disk does."""
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, {resource.RLIM_INFINITY})); "
        "from needlework.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *FETCH],
        cwd=project,
        env=hub.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    line = only_line(done)
    assert "model.safetensors.part cannot be written (File too large); make room" in line
    assert (folder_of(project) / "model.safetensors.part").exists()
    assert needlework(project, hub, *FETCH).returncode == 0


def test_more_than_the_disk_has_is_refused_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil._ntuple_diskusage(10**12, 10**12, 10**9)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ResourceError, match=r"needs 2\.0 GB more, and there are 1\.0 GB free"):
        downloads._need_room(2 * 10**9, tmp_path / "not/there/yet")
    downloads._need_room(10**9, tmp_path)


def test_a_mirror_fills_the_lock_without_a_network(project: Path, hub: Hub, tmp_path: Path) -> None:
    """Where the commit is known, a folder that was fetched elsewhere is enough."""
    needlework(project, hub, *FETCH)
    mirror = tmp_path / "elsewhere"
    (project / "resources/external").rename(mirror)
    entry = lock_of(project).repositories[NAME]
    bare = locks.Locked(revision=COMMIT)
    locks.change(project / locks.PATH, lambda _: {NAME: bare})
    hub.asked.clear()
    done = needlework(project, hub, *FETCH, "--offline", NEEDLEWORK_MIRROR=str(mirror))
    assert done.returncode == 0, done.stderr
    assert lock_of(project).repositories[NAME] == entry
    assert hub.asked == []
    assert json.loads((folder_of(project) / "manifest.json").read_text())["revision"] == COMMIT


def test_names_and_a_study_are_not_mixed(project: Path, hub: Hub) -> None:
    assert "give NAMES or --configfile, not both" in only_line(
        needlework(project, hub, *FETCH, "essays")
    )
