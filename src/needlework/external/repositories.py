"""What the Hugging Face hub says of a repository: its files at a commit, their digests and URLs.

Nothing is downloaded here; refusals of the hub become one line.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from needlework.door import strangers, told
from needlework.errors import ResourceError
from needlework.files import sha256

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling


@dataclass(frozen=True)
class Remote:
    """A file of a repository, with the digest that the hub keeps of it."""

    name: str
    url: str
    bytes: int
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
                f"{self.name} has digest {found}, the hub says {wanted}; try again, or elsewhere"
            )


@dataclass(frozen=True)
class Listing:
    """A repository at a commit."""

    commit: str
    remotes: Mapping[str, Remote]


def listing(hub_id: str, *, revision: str | None) -> Listing:
    """Every file of a repository at a commit, or at the last one of its main branch.

    Raises:
        ResourceError: the hub refuses, does not answer, or answers something else.
    """
    import huggingface_hub

    at = f"{hub_id} at {revision}" if revision else hub_id
    with _explained(at, hub_id):
        about = huggingface_hub.HfApi().model_info(hub_id, revision=revision, files_metadata=True)
        commit = str(about.sha)
        remotes = [_remote(hub_id, commit, file) for file in about.siblings or ()]
    if not re.fullmatch("[0-9a-f]{40}", commit) or revision not in (None, commit):
        raise ResourceError(f"{at}: the hub says that its commit is {commit}; check HF_ENDPOINT")
    return Listing(commit, {remote.name: remote for remote in remotes})


def _remote(hub_id: str, commit: str, file: "RepoSibling") -> Remote:
    size = file.lfs.size if file.lfs else file.size
    digest = file.lfs.sha256 if file.lfs else None
    if size is None or size < 0 or (digest and not re.fullmatch("[0-9a-f]{64}", digest)):
        raise LookupError(f"{file.rfilename} without its size or digest")
    return Remote(
        name=file.rfilename,
        url=address(hub_id, file.rfilename, commit=commit),
        bytes=size,
        sha256=digest,
        git=file.blob_id,
    )


def address(hub_id: str, name: str, *, commit: str) -> str:
    """The URL of a file at a commit."""
    import huggingface_hub

    return huggingface_hub.hf_hub_url(hub_id, name, revision=commit)


def ask(url: str, hub_id: str) -> dict[str, str]:
    """The headers with which the hub gives a file to this user.

    Raises:
        ResourceError: it wants the user to accept terms, or does not answer.
    """
    import huggingface_hub

    with _explained(url, hub_id):
        huggingface_hub.get_hf_file_metadata(url)
    token = huggingface_hub.get_token()
    return {"Authorization": f"Bearer {token}"} if token else {}


@contextmanager
def _explained(what: str, hub_id: str) -> Iterator[None]:
    """The client's errors as one line that says what to do."""
    from httpx2 import HTTPError
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    def no_hub(cause: Exception) -> ResourceError:
        return ResourceError(
            f"{what}: what answers is not the hub ({told(cause)}); is there a portal to log in to? "
            "Check HF_ENDPOINT and the network"
        )

    with strangers(no_hub):
        try:
            yield
        except GatedRepoError as error:
            raise ResourceError(
                f"{hub_id} has terms that you must accept on the hub: open "
                f"https://huggingface.co/{hub_id}, accept them, and set HF_TOKEN to your token"
            ) from error
        except RepositoryNotFoundError as error:
            raise ResourceError(
                f"{hub_id}: the hub has no such repository, or hides it from you; check the name, "
                "or set HF_TOKEN to your token"
            ) from error
        except RevisionNotFoundError as error:
            raise ResourceError(
                f"{what}: the hub has no such commit; correct `revision` in models.yaml, or run "
                f"`needlework pin --update {hub_id}`"
            ) from error
        except HFValidationError as error:
            raise ResourceError(f"{hub_id} is no name of a repository on the hub") from error
        except (HTTPError, OSError) as error:
            raise ResourceError(
                f"{what} cannot be had from the hub ({told(error)}); try again where there is a "
                "network, or name a mirror with NEEDLEWORK_MIRROR"
            ) from error


def _git_digest(path: Path) -> str:
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
