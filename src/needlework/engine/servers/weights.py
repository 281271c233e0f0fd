"""The weights behind a server, where they are at hand: which they are, and whether it serves them.

torch is imported only when there is something to compare.
"""

import os
from pathlib import Path

from needlework import installed
from needlework.errors import ResourceError
from needlework.external import snapshots
from needlework.files import sha256, write_text
from needlework.parsing import parse, read
from needlework.study import inputs
from needlework.study.served import Server
from needlework.study.served_records import Served, ServedVerification
from needlework.tolerances import Dtype

TRIAL_TOKENS = 16
"""Tokens that are written after every short prompt."""
SHARE_OF_MEMORY = 0.5
"""Of the memory of the machine that weights may take to be compared."""


def folder_of(server: Server) -> Path | None:
    """Where the weights lie here: a folder, a file, or what was fetched; None where they do not."""
    path = installed.find(server.checkpoint)
    if path.exists():
        return path
    try:
        return snapshots.find("checkpoints", server.checkpoint, revision=server.revision)
    except ResourceError:
        return None


def named(server: Server) -> str:
    """What names the weights in keys: the commit, digests of files here, or what they are called.

    What an endpoint really serves only its owner knows.
    """
    path = installed.find(server.checkpoint)
    if server.revision is not None and not path.exists():
        return server.revision
    files = inputs.of_checkpoint(server.checkpoint, None, runs_code=False)
    return " ".join(sha256(Path(name)) for name in files) if path.exists() else server.checkpoint


def verify(
    output: Path,
    served: Path,
    *,
    server: Server,
    tokenizer: str,
    tokenizer_revision: str | None,
    dtype: Dtype,
) -> None:
    """Compare what a server wrote after short prompts with what its weights write here.

    `served` is what `serve` wrote. Each of its tokens must be the best one here, or nearly: within
    the tolerance of the dtype. Where the weights are not at hand, the reason is written down.

    Raises:
        CheckpointError: an answer is not that of the weights; nothing is written.
    """
    known = parse(Served, read(served), where=str(served))
    reference, reason, ties = None, _absent(known, server), 0
    if reason is None:
        from needlework.engine.servers import comparison

        found = comparison.compare(
            known, server, tokenizer=tokenizer, revision=tokenizer_revision, dtype=dtype
        )
        reference, reason, ties = found.reference, found.reason, found.ties
    verification = ServedVerification(
        model=output.stem,
        server=known.told(),
        reads=known.reads,
        sent=known.sent,
        counts=known.counts,
        reference=reference,
        reason=reason,
        prompts=len(known.trials) if reference else 0,
        tokens=TRIAL_TOKENS if reference else 0,
        ties=ties,
        repeated=known.repeats.asked,
        different=known.repeats.different,
    )
    write_text(output, verification.model_dump_json(indent=1) + "\n")


def _absent(known: Served, server: Server) -> str | None:
    """Why there is nothing to compare with."""
    folder = folder_of(server)
    if folder is None:
        return "a server answers, and its weights are not here"
    if not known.trials:
        return "a server answers, and puts a template of its own around every prompt"
    files = [folder] if folder.is_file() else [each for each in folder.iterdir() if each.is_file()]
    size = sum(each.stat().st_size for each in files)
    room = SHARE_OF_MEMORY * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if size > room:
        return f"a server answers, and its {size / 1e9:.0f} GB of weights are too large for here"
    return None
