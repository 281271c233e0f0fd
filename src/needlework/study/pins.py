"""What a study needs of the hub, and at which commits.

Entries of models.yaml meet the lock here; `external` handles the files of repositories.
"""

from collections.abc import Mapping

from needlework.external.locks import Lock, Repository
from needlework.external.snapshots import Kind, is_hub_id
from needlework.study.config import ModelEntry, Models
from needlework.study.entries import TokenizerEntry


def pinned(catalogue: Models, lock: Lock) -> Models:
    """The catalogue with a commit for every hub id that has none of its own and is locked."""
    models = {
        name: entry.model_copy(update={"revision": entry.revision or lock.commit(entry.checkpoint)})
        for name, entry in catalogue.models.items()
    }
    tokenizers = {
        name: entry.model_copy(update={"revision": entry.revision or lock.commit(entry.source)})
        for name, entry in catalogue.tokenizers.items()
    }
    return catalogue.model_copy(update={"models": models, "tokenizers": tokenizers})


def repositories(
    models: Mapping[str, ModelEntry], tokenizers: Mapping[str, TokenizerEntry]
) -> list[Repository]:
    """The repositories of the hub that entries name, each once, in their order."""
    named: list[tuple[Kind, str, str | None]] = [
        *(
            ("checkpoints", each.checkpoint, each.revision)
            for each in models.values()
            # Weights behind an endpoint are where the server is.
            if each.endpoint is None
        ),
        *(("tokenizers", each.source, each.revision) for each in tokenizers.values()),
    ]
    found = [Repository(*each) for each in named if each[2] or is_hub_id(each[1])]
    return list(dict.fromkeys(found))
