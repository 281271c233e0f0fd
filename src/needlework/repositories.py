"""What the Hugging Face hub says of a repository: its files at a commit, their digests and URLs.

Knows the hub's client and its refusals; does not download, and does not know what files are for.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from needlework.errors import ResourceError
from needlework.files import sha256


@dataclass(frozen=True)
class Remote:
    """A file of a repository, with the digest that the hub keeps of it."""

    name: str
    url: str
    sha256: str | None
    """Of large files."""
    git: str | None
    """Of small ones: git's SHA-1 over a header and the bytes."""

    def check(self, path: Path) -> None:
        """Accept a file with these bytes.

        Raises:
            ResourceError: it has others, or the hub keeps no digest.
        """
        if self.sha256 is not None:
            found, wanted = sha256(path), self.sha256
        else:
            found, wanted = _git_digest(path), self.git or "nothing"
        if found != wanted:
            raise ResourceError(
                f"{path.name} has digest {found}, the hub says {wanted}; delete {path} and fetch "
                "it again"
            )


def files(hub_id: str, *, revision: str) -> list[Remote]:
    """Every file of a repository at a commit.

    Raises:
        ResourceError: the hub refuses or does not answer.
    """
    import huggingface_hub

    with _explained(f"{hub_id} at {revision}", hub_id):
        about = huggingface_hub.HfApi().model_info(hub_id, revision=revision, files_metadata=True)
    return [
        Remote(
            name=file.rfilename,
            url=huggingface_hub.hf_hub_url(hub_id, file.rfilename, revision=revision),
            sha256=file.lfs.sha256 if file.lfs else None,
            git=file.blob_id,
        )
        for file in about.siblings or ()
    ]


def ask(remote: Remote, hub_id: str) -> dict[str, str]:
    """The headers with which the hub gives a file to this user.

    Raises:
        ResourceError: it wants the user to accept terms, or does not answer.
    """
    import huggingface_hub

    with _explained(remote.url, hub_id):
        huggingface_hub.get_hf_file_metadata(remote.url)
    token = huggingface_hub.get_token()
    return {"Authorization": f"Bearer {token}"} if token else {}


def latest(hub_id: str) -> str:
    """The 40 digits of the last commit on a repository's main branch.

    Raises:
        ResourceError: the hub refuses or does not answer.
    """
    import huggingface_hub

    with _explained(hub_id, hub_id):
        commit = huggingface_hub.HfApi().model_info(hub_id).sha
    if commit is None:
        raise ResourceError(f"{hub_id}: the hub does not say at which commit it is")
    return commit


@contextmanager
def _explained(what: str, hub_id: str) -> Iterator[None]:
    """The client's errors as one line that says what to do."""
    from httpx2 import HTTPError
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    try:
        yield
    except GatedRepoError as error:
        raise ResourceError(
            f"{hub_id} has terms that the hub wants you to accept: open "
            f"https://huggingface.co/{hub_id}, accept them, and set HF_TOKEN to your token"
        ) from error
    except RepositoryNotFoundError as error:
        raise ResourceError(
            f"{hub_id}: the hub has no such repository, or hides it from you; check the name, or "
            "set HF_TOKEN to your token"
        ) from error
    except (HTTPError, HFValidationError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ResourceError(
            f"{what} cannot be had from the hub ({type(error).__name__}: {reason}); try again "
            "where there is a network, or name a mirror with NEEDLEWORK_MIRROR"
        ) from error


def _git_digest(path: Path) -> str:
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
