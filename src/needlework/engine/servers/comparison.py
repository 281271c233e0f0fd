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
from needlework.study.served import Server
from needlework.study.served_records import Served, Trial
from needlework.tokenizers import Tokenizer
from needlework.tolerances import PLAIN, ROUNDED, TOLERANCES, Dtype


class Compared(NamedTuple):
    """What came of it."""

    reference: str | None
    reason: str | None
    ties: int


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
    """How far the two best logits may be apart, as a share of the largest, for another choice."""
    if is_gguf(weights) and {each.kind for each in read_header(weights).weights} - PLAIN:
        return ROUNDED
    return TOLERANCES[dtype, "cpu"]


def _parts(
    trial: Trial, decoder: Decoder, reader: Tokenizer, server: Server, name: str, tolerance: float
) -> bool:
    """Whether the server's answer parts from ours at a tie; no word of it where they are equal.

    Raises:
        CheckpointError: it parts elsewhere.
    """
    ours, margins = _written(decoder, trial.tokens, reader.end)
    theirs = _plain(trial.text)
    if _plain(reader.decode(ours)) == theirs:
        return False
    # Up to the first token that the server's text does not have.
    lengths = range(len(ours), 0, -1)
    same = next((n for n in lengths if theirs.startswith(_plain(reader.decode(ours[:n])))), 0)
    same = min(same, len(margins) - 1)
    if margins[same] <= tolerance:
        return True
    raise CheckpointError(
        f"{server.name} is not served as {server.checkpoint} computes: after a prompt of "
        f"{len(trial.tokens)} tokens {name} writes {reader.decode(ours)!r}, the server "
        f"{trial.text!r}, and they part where the best logit is {margins[same]:.3g} of "
        f"the largest above the second, more than {tolerance:g}; check what the server has loaded, "
        "its chat template and its begin token"
    )


def _plain(text: str) -> str:
    """A text as servers agree on it: some drop a blank at its start, or a half character."""
    return text.strip().rstrip("\ufffd")


@torch.inference_mode()
def _written(
    decoder: Decoder, prompt: tuple[int, ...], end: frozenset[int]
) -> tuple[list[int], list[float]]:
    """Greedy tokens, and how far each was above the second best, as a share of the largest logit.

    An end token ends them; its margin is the last one.
    """
    device = decoder.embedding.weight.device
    state = decoder.init_state(1)
    next_BT = torch.tensor([prompt], device=device)
    tokens: list[int] = []
    margins: list[float] = []
    while len(tokens) < TRIAL_TOKENS:
        logits_V, state = decoder.read(next_BT, state)
        if not tokens:
            state = state.after_prompt()
        scores_V = decoder.logits(logits_V)[0].float()[: decoder.config.vocabulary]
        best = torch.topk(scores_V, 2)
        margins.append(float((best.values[0] - best.values[1]) / scores_V.abs().max()))
        token = int(best.indices[0])
        if token in end:
            break
        tokens.append(token)
        next_BT = torch.tensor([[token]], device=device)
    return tokens, margins
