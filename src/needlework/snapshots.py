"""Checkpoints from the Hugging Face hub, at a pinned commit, their weights verified.

Knows the hub's client and its cache, where `needlework predict` then finds them; does not know
what a model is.
"""

from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError

from needlework.errors import ResourceError
from needlework.files import sha256

_PATTERNS = ("*.json", "*.safetensors", "*.bin", "*.model", "*.txt")


def download(hub_id: str, *, revision: str) -> Path:
    """The folder of a snapshot; every file the hub keeps a digest of has that digest.

    Raises:
        ResourceError: the hub refuses or does not answer, or a file is damaged.
    """
    try:
        folder = Path(
            huggingface_hub.snapshot_download(
                hub_id, revision=revision, allow_patterns=list(_PATTERNS)
            )
        )
        about = huggingface_hub.HfApi().model_info(hub_id, revision=revision, files_metadata=True)
    except GatedRepoError as error:
        raise ResourceError(
            f"{hub_id} has terms that the hub wants you to accept: open "
            f"https://huggingface.co/{hub_id}, accept them, and set HF_TOKEN to your token"
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ResourceError(
            f"{hub_id} at {revision} cannot be downloaded ({type(error).__name__}); try again"
        ) from error
    for file in about.siblings or ():
        path = folder / file.rfilename
        if file.lfs is not None and path.is_file() and sha256(path) != file.lfs.sha256:
            raise ResourceError(f"{path} is damaged; delete it and fetch it again")
    return folder
