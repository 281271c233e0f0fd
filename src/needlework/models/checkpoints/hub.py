"""Where a checkpoint lies: a path, or a hub id whose pinned revision was fetched or is cached."""

import os
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from needlework import installed
from needlework.errors import CheckpointError
from needlework.external import snapshots

_PATTERNS = [
    "config.json",
    "generation_config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "*.bin",
    "*.bin.index.json",
]
_REVISION_DIGITS = 40


def find(path_or_hub_id: str | Path, *, revision: str | None) -> Path:
    """The folder or file of a checkpoint: what was fetched of a hub id, or the hub's own cache.

    Raises:
        CheckpointError: no such path, a hub id without a full revision, or the hub does not answer.
        ResourceError: what was fetched is not complete any more.
    """
    path = installed.find(path_or_hub_id)
    if path.exists():
        return _lone(path)
    name = str(path_or_hub_id)
    require_revision(name, revision=revision)
    if fetched := snapshots.find("checkpoints", name, revision=revision):
        return _lone(fetched)
    try:
        return Path(
            huggingface_hub.snapshot_download(name, revision=revision, allow_patterns=_PATTERNS)
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else ""
        raise CheckpointError(
            f"{name} at {revision} is not in the local cache and the hub has not given it"
            f"{offline}; run `needlework fetch --configfile FILE` where there is a network"
        ) from error


def _lone(path: Path) -> Path:
    """The one `.pth` file of a folder that holds nothing else to load, or the path itself.

    Raises:
        CheckpointError: it holds several, each of them a model.
    """
    if not path.is_dir() or (path / "config.json").exists():
        return path
    found = sorted(path.glob("*.pth"))
    if len(found) > 1:
        names = ", ".join(each.name for each in found[:3])
        raise CheckpointError(
            f"{path} holds {len(found)} models ({names}); name the file that you mean"
        )
    return found[0] if found else path


def require_revision(path_or_hub_id: str, *, revision: str | None) -> None:
    """Refuse what neither lies here nor is pinned on the hub: its weights could change.

    Raises:
        CheckpointError: no such path, or a hub id without a full revision.
    """
    name = path_or_hub_id
    if Path(name).exists():
        return
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise CheckpointError(f"{name} does not exist; name a folder, a .pth file or a hub id")
    if revision is None or len(revision) != _REVISION_DIGITS:
        raise CheckpointError(
            f"{name} is no folder, and as a hub id it needs `revision`: the {_REVISION_DIGITS} "
            f"digits of a commit (got {revision!r})"
        )
