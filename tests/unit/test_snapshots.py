"""Checkpoints from the hub: verified, or one line that says what to do. The hub is faked."""

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError

from needlework import resources, snapshots
from needlework.errors import ResourceError
from needlework.fetching import Fetcher

WEIGHTS = b"weights"


def fake_hub(monkeypatch: pytest.MonkeyPatch, folder: Path, *, digest: str) -> None:
    """A hub with one file of weights and its digest."""
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    files = [
        SimpleNamespace(rfilename="model.safetensors", lfs=SimpleNamespace(sha256=digest)),
        SimpleNamespace(rfilename="config.json", lfs=None),
    ]
    about = SimpleNamespace(siblings=files)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(folder))
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: about)


def failing_hub(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse(*_: Any, **__: Any) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)


def test_verified_weights_are_handed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_hub(monkeypatch, tmp_path, digest=hashlib.sha256(WEIGHTS).hexdigest())
    assert snapshots.download("a/b", revision="0" * 40) == tmp_path


def test_damaged_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_hub(monkeypatch, tmp_path, digest="0" * 64)
    with pytest.raises(ResourceError, match="is damaged"):
        snapshots.download("a/b", revision="0" * 40)


def test_terms_on_the_hub_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gemma's weights are given to those who accepted its terms."""
    answer: Any = SimpleNamespace(headers={}, request=None)
    failing_hub(monkeypatch, GatedRepoError("gated", response=answer))
    with pytest.raises(ResourceError, match=r"huggingface.co/a/b, accept them, and set HF_TOKEN"):
        snapshots.download("a/b", revision="0" * 40)


def test_no_network_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    failing_hub(monkeypatch, LocalEntryNotFoundError("nothing here"))
    with pytest.raises(ResourceError, match="cannot be downloaded"):
        snapshots.download("a/b", revision="0" * 40)


def fetch(name: str, folder: Path, **options: Any) -> list[Path]:
    return list(Fetcher(registry=resources.registry(), directory=folder, **options).fetch(name))


def test_a_model_without_a_revision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="nobody has looked up its revision"):
        fetch("mamba2attn", tmp_path)


def test_gated_models_need_their_terms_accepted(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="--accept recurrentgemma"):
        fetch("recurrentgemma", tmp_path)


def test_offline_models_are_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="--offline"):
        fetch("mamba2", tmp_path, offline=True)
