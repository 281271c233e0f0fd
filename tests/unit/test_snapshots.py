"""Where repositories of the hub lie, and which of their files are taken. No network."""

from pathlib import Path
from typing import Any

import pytest

from needlework import files, resources, snapshots
from needlework.errors import ResourceError, StudyError
from needlework.fetching import Fetcher
from needlework.snapshots import Manifest, Snapshot, Stored

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
        (["a.pth", "config.json", "modeling_a.py"], {"a.pth", "config.json", "modeling_a.py"}),
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


def test_unpinned_repositories_are_named_together() -> None:
    paths = [
        f"resources/external/checkpoints/a--b/{revision}/manifest.json"
        for revision in (COMMIT, "unpinned")
    ]
    snapshots.refuse_unpinned([paths[0], "results/x.json"])
    with pytest.raises(ResourceError, match=r"^a/b: unpinned; `needlework pin a/b`"):
        snapshots.refuse_unpinned(paths)


def fetch(name: str, folder: Path, **options: Any) -> list[Path]:
    return list(Fetcher(registry=resources.registry(), directory=folder, **options).fetch(name))


def test_a_model_without_a_revision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="needlework pin state-spaces/mamba2attn"):
        fetch("mamba2attn", tmp_path)


def test_offline_models_are_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="--offline"):
        fetch("mamba2", tmp_path, offline=True)
