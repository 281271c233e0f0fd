"""Checkpoints from the hub: the client is real, and so is the server, on this machine."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub_for_tests import COMMIT, TOKEN, Hub, needlework, serving

NAME = "me/tiny"
PATH = f"checkpoints/me--tiny/{COMMIT}/manifest.json"
WEIGHTS = bytes(range(256)) * 400
FILES = {
    "config.json": b"{}",
    "tokenizer.json": b'{"model": {}}',
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": b"the same in another format",
    "README.md": b"words",
    "onnx/model.bin": b"a folder",
}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(Hub(NAME, FILES)) as running:
        yield running


def fetched(folder: Path) -> Path:
    """Where the repository lies."""
    return folder / "resources/external" / Path(PATH).parent


def test_what_a_model_needs_is_fetched_and_verified(hub: Hub, tmp_path: Path) -> None:
    """Weights in one format only; the manifest has the digests of what was read."""
    done = needlework(tmp_path, hub, "fetch", PATH)
    assert done.returncode == 0, done.stderr
    folder = fetched(tmp_path)
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    assert names == {"config.json", "tokenizer.json", "model.safetensors", "manifest.json"}
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["hub"], manifest["revision"]) == (NAME, COMMIT)
    assert {name: entry["sha256"] for name, entry in manifest["files"].items()} == {
        name: hashlib.sha256(FILES[name]).hexdigest() for name in names - {"manifest.json"}
    }


def test_what_is_here_is_not_fetched_again(hub: Hub, tmp_path: Path) -> None:
    needlework(tmp_path, hub, "fetch", PATH)
    hub.asked.clear()
    assert needlework(tmp_path, hub, "fetch", PATH).returncode == 0
    assert hub.asked == []


def test_a_lost_file_alone_is_fetched_again(hub: Hub, tmp_path: Path) -> None:
    needlework(tmp_path, hub, "fetch", PATH)
    (fetched(tmp_path) / "config.json").unlink()
    hub.asked.clear()
    assert needlework(tmp_path, hub, "fetch", PATH).returncode == 0
    assert hub.downloads() == [("config.json", None)]


def test_of_a_tokenizer_no_weights_are_fetched(hub: Hub, tmp_path: Path) -> None:
    path = PATH.replace("checkpoints", "tokenizers")
    assert needlework(tmp_path, hub, "fetch", path).returncode == 0
    assert hub.downloads() == [("tokenizer.json", None)]


def test_what_broke_off_goes_on(hub: Hub, tmp_path: Path) -> None:
    """Five gigabytes are not started anew because a login node was restarted."""
    part = fetched(tmp_path) / "model.safetensors.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(WEIGHTS[:1000])
    hub.breaks_after = 50_000
    assert needlework(tmp_path, hub, "fetch", PATH).returncode == 0
    assert ("model.safetensors", "bytes=1000-") in hub.downloads()
    assert ("model.safetensors", "bytes=51000-") in hub.downloads()
    assert (fetched(tmp_path) / "model.safetensors").read_bytes() == WEIGHTS


def test_damaged_weights_are_refused(hub: Hub, tmp_path: Path) -> None:
    hub.swapped = {"model.safetensors": WEIGHTS[::-1]}
    done = needlework(tmp_path, hub, "fetch", PATH)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert (
        f"model.safetensors has sha256 {hashlib.sha256(WEIGHTS[::-1]).hexdigest()}" in done.stderr
    )
    assert not (fetched(tmp_path) / "model.safetensors").exists()
    assert not (fetched(tmp_path) / "manifest.json").exists()


def test_terms_on_the_hub_are_explained(hub: Hub, tmp_path: Path) -> None:
    """Gemma's weights are given to those who accepted its terms."""
    hub.gated = True
    done = needlework(tmp_path, hub, "fetch", PATH)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"open https://huggingface.co/{NAME}, accept them, and set HF_TOKEN" in done.stderr
    done = needlework(tmp_path, hub, "fetch", PATH, HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr


def test_an_unknown_repository_is_one_line(hub: Hub, tmp_path: Path) -> None:
    done = needlework(tmp_path, hub, "fetch", PATH.replace("tiny", "other"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "me/other" in done.stderr


def test_a_repository_without_weights_is_one_line(tmp_path: Path) -> None:
    with serving(Hub(NAME, {"config.json": b"{}"})) as hub:
        done = needlework(tmp_path, hub, "fetch", PATH)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"{NAME} at {COMMIT} has no checkpoints among its files (config.json)" in done.stderr


def test_no_network_is_one_line(tmp_path: Path) -> None:
    hub = Hub(NAME, FILES, url="http://127.0.0.1:1")
    done = needlework(tmp_path, hub, "fetch", PATH)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "NEEDLEWORK_MIRROR" in done.stderr
    done = needlework(tmp_path, hub, "fetch", PATH, "--offline")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--offline forbids" in done.stderr


def test_a_mirror_needs_no_network(hub: Hub, tmp_path: Path) -> None:
    """What was fetched elsewhere is copied, verified by its manifest."""
    needlework(tmp_path, hub, "fetch", PATH)
    mirror = tmp_path / "resources/external"
    here = tmp_path / "cluster"
    here.mkdir()
    hub.asked.clear()
    done = needlework(here, hub, "fetch", PATH, NEEDLEWORK_MIRROR=str(mirror))
    assert done.returncode == 0, done.stderr
    assert hub.asked == []
    assert (fetched(here) / "model.safetensors").read_bytes() == WEIGHTS

    shutil.rmtree(fetched(here))
    (fetched(tmp_path) / "model.safetensors").write_bytes(WEIGHTS[1:])
    done = needlework(here, hub, "fetch", PATH, NEEDLEWORK_MIRROR=str(mirror))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "damaged" in done.stderr
    assert not (fetched(here) / "manifest.json").exists()
