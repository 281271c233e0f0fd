"""What the weights of a served model write here, beside what the server wrote.

The only part of asking servers that computes: it is imported where weights are at hand.
"""

from pathlib import Path
from typing import NamedTuple

import torch

from needlework import models, tokenizers
from needlework.engine.servers.weights import TRIAL_TOKENS, folder_of
from needlework.errors import CheckpointError
from needlework.gguf_header import is_gguf, read_header
from needlework.models.decoder import Decoder
from needlework.models.hub_model import load_hub_model
from needlework.models.state import DecoderState
from needlework.study.served import Server
from needlework.study.served_records import Served, Trial
from needlework.tokenizers import Tokenizer
from needlework.tolerances import GGUF, ROUNDED, TOLERANCES, Dtype

MOST_READS = 8 * TRIAL_TOKENS
"""Tokens read in search of those that a text was written as; without a tie it takes one each."""


class Compared(NamedTuple):
    """What came of it."""

    reference: str | None
    reason: str | None
    ties: int


class Followed(NamedTuple):
    """Tokens that a text can be written as, each of them nearly the best one."""

    tokens: tuple[int, ...]
    below: tuple[float, ...]
    """How far each lies below the best one, as a share of the largest logit."""
    whole: bool
    """Whether they are the whole text; else it goes on with a token that is worse."""
    best: int
    """The best token after them."""


class _Path(NamedTuple):
    """Some tokens of a text, and what is to be read to know the next one."""

    tokens: tuple[int, ...]
    below: tuple[float, ...]
    unread: tuple[int, ...]
    state: DecoderState

    def on(self, token: int, below: float, state: DecoderState) -> "_Path":
        """One token further."""
        return _Path((*self.tokens, token), (*self.below, below), (token,), state)


def compare(
    known: Served, server: Server, *, tokenizer: str, revision: str | None, dtype: Dtype
) -> Compared:
    """Who computed the weights here, or why nobody could; and how many answers part at a tie.

    Raises:
        CheckpointError: an answer is not that of the weights.
    """
    folder = folder_of(server)
    assert folder is not None, "whoever asks has looked"
    reader = tokenizers.load(tokenizer, revision=revision)
    try:
        decoder, name = _loaded(folder, dtype)
    except (CheckpointError, torch.OutOfMemoryError, MemoryError) as error:
        told = " ".join(str(error).split())[:200]
        return Compared(None, f"a server answers, and nothing here computes its weights: {told}", 0)
    tolerance = _tolerance(folder, dtype)
    parted = [_parts(trial, decoder, reader, server, name, tolerance) for trial in known.trials]
    return Compared(name, None, sum(parted))


def _loaded(folder: Path, dtype: Dtype) -> tuple[Decoder, str]:
    """The weights in our decoder or, where it does not know their kind, in transformers."""
    kind = getattr(torch, dtype)
    try:
        return models.load(folder, dtype=kind), "our decoder"
    except CheckpointError:
        import transformers

        model = load_hub_model(
            str(folder), revision=None, device="cpu", dtype=kind, trust_remote_code=False
        )
        return model, f"transformers {transformers.__version__}"


def _tolerance(weights: Path, dtype: Dtype) -> float:
    """How far a token may lie below the best one, as a share of the largest logit."""
    if is_gguf(weights):
        kinds = {each.kind for each in read_header(weights).weights}
        return max(GGUF.get(kind, ROUNDED) for kind in kinds)
    return TOLERANCES[dtype, "cpu"]


def _parts(
    trial: Trial, decoder: Decoder, reader: Tokenizer, server: Server, name: str, tolerance: float
) -> bool:
    """Whether the server's answer has a token that is not the best one here, but nearly.

    Raises:
        CheckpointError: it has a token that is worse.
    """
    found = follow(
        decoder, trial.tokens, trial.text, reader, limit=TRIAL_TOKENS, tolerance=tolerance
    )
    if found.whole:
        return max(found.below) > 0
    raise CheckpointError(
        f"{server.name} is not served as {server.checkpoint} computes: after a prompt of "
        f"{len(trial.tokens)} tokens the server writes {trial.text!r}, and {name} writes "
        f"{reader.decode([*found.tokens, found.best])!r}, whose last token is better than the "
        f"server's by more than {tolerance:g} of the largest logit; check what the server has "
        "loaded, its chat template and its begin token"
    )


@torch.inference_mode()
def follow(
    decoder: Decoder,
    prompt: tuple[int, ...],
    text: str,
    reader: Tokenizer,
    *,
    limit: int,
    tolerance: float,
) -> Followed:
    """The tokens of a greedy answer of at most `limit`, as far as each is within the tolerance.

    Each is judged after those that were written before it, so an answer that leaves ours where two
    tokens are nearly equal is compared to its end. Servers tell a text, not its tokens: whichever
    of the near ones go on with it are tried, better ones first.
    """
    wanted = _plain(text)
    paths = [_Path((), (), prompt, decoder.init_state(1))]
    furthest = Followed((), (), whole=False, best=0)
    for read in range(MOST_READS):
        if not paths:
            break
        path = paths.pop()
        below_V, state = _below(decoder, path)
        if not read or len(path.tokens) > len(furthest.tokens):
            furthest = Followed(path.tokens, path.below, False, int(below_V.argmin()))
        near = (below_V <= tolerance).nonzero()[:, 0]
        for token in near[below_V[near].argsort(descending=True)].tolist():
            further = path.on(token, float(below_V[token]), state)
            ends = token in reader.end
            written = _plain(reader.decode(path.tokens if ends else further.tokens))
            if written == wanted and (ends or len(further.tokens) == limit):
                return Followed(further.tokens, further.below, True, token)
            if not ends and len(further.tokens) < limit and wanted.startswith(written):
                paths.append(further)
    return furthest


def _below(decoder: Decoder, path: _Path) -> tuple[torch.Tensor, DecoderState]:
    """How far every token lies below the best one, as a share of the largest logit."""
    unread_BT = torch.tensor([path.unread], device=decoder.embedding.weight.device)
    hidden_BD, state = decoder.read(unread_BT, path.state)
    if not path.tokens:
        state = state.after_prompt()
    scores_V = decoder.logits(hidden_BD)[0].float()[: decoder.config.vocabulary]
    return (scores_V.max() - scores_V) / scores_V.abs().max(), state


def _plain(text: str) -> str:
    """A text as servers agree on it: some drop a blank at its start, or a half character."""
    return text.strip().rstrip("\ufffd")
