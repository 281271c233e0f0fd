"""Where repositories of the hub lie, and which of their files are taken. No network."""

from pathlib import Path

import pytest

from needlework import files
from needlework.errors import ResourceError, StudyError
from needlework.external import snapshots
from needlework.external.snapshots import Manifest, Snapshot, Stored

COMMIT = "ab" * 20
SNAPSHOT = Snapshot("checkpoints", "state-spaces/mamba2-2.7b", COMMIT)


def stored(directory: Path) -> Path:
    """A repository that was fetched: its only file."""
    file = directory / SNAPSHOT.folder / "model.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    entry = Stored(bytes=7, sha256=files.sha256(file))
    manifest = Manifest(hub=SNAPSHOT.hub, revision=COMMIT, files={file.name: entry})
    (directory / SNAPSHOT.manifest).write_text(manifest.model_dump_json())
    return file


def find(directory: Path) -> Path | None:
    return snapshots.find("checkpoints", SNAPSHOT.hub, revision=COMMIT, directory=directory)


def test_a_path_names_the_repository_and_back() -> None:
    assert SNAPSHOT.manifest == f"checkpoints/state-spaces--mamba2-2.7b/{COMMIT}/manifest.json"
    assert snapshots.at(SNAPSHOT.manifest) == SNAPSHOT
    assert snapshots.at("tokenizers/gpt-neox-20b/tokenizer.json") is None
    assert snapshots.at(SNAPSHOT.manifest.replace(COMMIT, "main")) is None


def test_only_complete_repositories_are_found(tmp_path: Path) -> None:
    assert find(tmp_path) is None
    file = stored(tmp_path)
    assert find(tmp_path) == file.parent
    assert snapshots.find("checkpoints", SNAPSHOT.hub, revision=None, directory=tmp_path) is None
    file.write_bytes(b"weight")
    with pytest.raises(ResourceError, match=f"needlework fetch {SNAPSHOT.manifest}"):
        find(tmp_path)


def test_a_manifest_names_no_file_elsewhere(tmp_path: Path) -> None:
    stored(tmp_path)
    path = tmp_path / SNAPSHOT.manifest
    path.write_text(path.read_text().replace("model.safetensors", "../../../secret"))
    with pytest.raises(StudyError, match="secret"):
        find(tmp_path)


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (
            ["config.json", "pytorch_model.bin", "training_args.bin"],
            {"config.json", "pytorch_model.bin"},
        ),
        (["a.bin", "pytorch_model.bin", "modeling_a.py"], {"pytorch_model.bin", "modeling_a.py"}),
        (
            [
                "model-00001-of-00002.safetensors",
                "model-00002-of-00002.safetensors",
                "model.safetensors.index.json",
                "pytorch_model-00001-of-00001.bin",
                "pytorch_model.bin.index.json",
            ],
            {
                "model-00001-of-00002.safetensors",
                "model-00002-of-00002.safetensors",
                "model.safetensors.index.json",
            },
        ),
    ],
)
def test_weights_are_taken_in_one_format(names: list[str], taken: set[str]) -> None:
    assert set(snapshots.needed(SNAPSHOT, names)) == taken


def test_our_own_mark_and_hidden_files_are_never_taken() -> None:
    """A repository's own manifest.json would say that everything is here."""
    names = ["config.json", "manifest.json", ".x.json", "model.safetensors", "a\nb.json", ""]
    assert snapshots.needed(SNAPSHOT, names) == ["config.json", "model.safetensors"]


def test_weights_that_cannot_be_read_from_the_hub_are_not_downloaded() -> None:
    """A repository of `.pth` files has every size of a model."""
    with pytest.raises(ResourceError, match=r"download one of 1b\.pth, 3b\.pth and name its path"):
        snapshots.needed(SNAPSHOT, ["config.json", "3b.pth", "1b.pth"])


def test_a_hub_id_is_told_from_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert snapshots.is_hub_id("state-spaces/mamba2-2.7b")
    for path in ("resources/x", "./here/x", "~/x", "a/b/c", "name", "../a", "a/", "/a/b", ""):
        assert not snapshots.is_hub_id(path)
    (tmp_path / "me/tiny").mkdir(parents=True)
    assert not snapshots.is_hub_id("me/tiny")
