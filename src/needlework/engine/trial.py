"""A synthetic text that a model reads as cells do: shared prefixes, pieces, answers in a batch."""

# Shapes: T tokens, P positions, R rows of a batch, V vocabulary rows of the head.
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from needlework.cost.devices import DEVICES, assumed
from needlework.cost.formulas import costs
from needlework.cost.room import CALL_TOKENS, CHUNK, MOST_ROWS, MOST_STATES
from needlework.engine.decode import decode, unseen_tokens
from needlework.engine.interruption import Interruption
from needlework.engine.prefill import prefill
from needlework.engine.schedule import Limits, most_kept, schedule
from needlework.engine.slots import Slots
from needlework.errors import EngineError
from needlework.models.config import Attention
from needlework.models.decoder import Decoder
from needlework.models.hub_model import HubModel
from needlework.records import StopReason
from needlework.rng import stream
from needlework.tokenizers.prefixes import Tokens, plan_forest, plan_separately

FAR = 2048
"""Tokens of the longest prompt beyond the model's window."""
LEAST_TOKENS = 300
SECONDS = 20.0
"""What reading the longest prompt may take a CPU, by the cost model and never by a clock: on every
machine the same tokens are read."""
WRITTEN = 16
"""Tokens read one by one after every prompt, as answers are."""
SHARES = (1, 3, 7)
"""Lengths of the prompts in sevenths of the longest, so that pieces end anywhere in a chunk."""
WINDOWS = ("sliding_window", "attention_window_size")
"""What configurations of transformers call a window."""


@dataclass(frozen=True)
class Trial:
    """One sequence, of whose beginnings some are prompts."""

    tokens: Tokens
    prompts: tuple[int, ...]
    """Tokens of each prompt, shortest first."""
    written: int
    """Tokens read one by one after each of them; those that follow in the sequence."""
    needed: int
    """Tokens of a prompt that crosses every window and two chunks."""

    @property
    def positions(self) -> list[tuple[int, int]]:
        """Where logits are compared: after so many tokens of a prompt, and so many more."""
        steps = range(self.written + 1)
        return [(prompt, step) for prompt in self.prompts for step in steps]

    def everything(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """All tokens, of shape (T,), and the places of `positions` among them, of shape (P,)."""
        tokens_T = torch.from_numpy(self.tokens.astype(np.int64)).to(device)
        places = [prompt + step - 1 for prompt, step in self.positions]
        return tokens_T, torch.tensor(places, device=device)


def plan_trial(decoder: Decoder) -> Trial:
    """What this decoder is to read, the same on every machine with such a device."""
    trial = _trial(decoder, WRITTEN)
    decoder.prepare([trial.tokens[:length] for length in trial.prompts], WRITTEN)
    # Without a cache it cannot be decoded step by step: each token reads all before it again.
    steps = not isinstance(decoder, HubModel) or decoder.keeps_cache
    return trial if steps else _trial(decoder, 0)


def _trial(decoder: Decoder, written: int) -> Trial:
    """A trial of this decoder with so many tokens after every prompt."""
    longest = longest_prompt(decoder, decoder.embedding.weight.device.type)
    positions = _positions(decoder)
    if positions is not None:
        longest = max(1, min(longest, positions - written))
    draw = stream(0, "verification")
    vocabulary = decoder.config.vocabulary
    tokens = [draw.randrange(vocabulary) for _ in range(longest + written)]
    prompts = {max(1, longest * share // SHARES[-1]) for share in SHARES}
    return Trial(
        np.array(tokens, dtype=np.int32), tuple(sorted(prompts)), written, _needed(decoder)
    )


def longest_prompt(decoder: Decoder, device: str) -> int:
    """Tokens of the longest prompt on a device of this type, positions aside."""
    longest = max(_window(decoder) + FAR, _needed(decoder))
    if device == "cpu":
        return min(longest, max(LEAST_TOKENS, _readable(decoder, longest)))
    return longest


def read_trial(decoder: Decoder, trial: Trial) -> Tensor:
    """Logits of shape (P, V), in float32, at the trial's positions.

    Rows of the head that belong to no token are left out.

    Raises:
        DoesNotFitError: memory is short.
        EngineError: some logits are not finite; says where.
    """
    device = decoder.embedding.weight.device.type
    prompts = [trial.tokens[:length] for length in trial.prompts]
    # Constants of the engine, not what is free now: the same pieces are read everywhere.
    limits = Limits(CALL_TOKENS[device], CHUNK[device], MOST_ROWS[device], MOST_STATES)
    shares = decoder.reads_in_pieces
    forest = plan_forest(prompts) if shares else plan_separately(prompts)
    limits = limits if shares else limits.in_one_call(max(trial.prompts))
    answers = [_Dictated(length, trial.written + 1) for length in trial.prompts]
    dictation = _Dictation(trial, answers)
    interruption = Interruption()
    batches = schedule(forest, limits)
    with torch.inference_mode():
        slots = Slots(
            decoder,
            answers=len(prompts),
            kept=most_kept(forest, batches),
            total=limits.total,
            prompt=max(trial.prompts),
            answer=trial.written + unseen_tokens(decoder),
        )
        reading = prefill(
            decoder, prompts, forest, batches, limits=limits, slots=slots, interruption=interruption
        )
        for finished in decode(
            decoder,
            reading,
            answers,
            dictation,
            slots=slots,
            vocabulary=decoder.config.vocabulary,
            interruption=interruption,
        ):
            if finished.error is not None:
                read = trial.prompts[finished.prompt] + len(finished.tokens)
                raise EngineError(f"{finished.error} after {read} tokens")
    return torch.stack([row_V for rows in dictation.logits for row_V in rows])


@dataclass
class _Dictated:
    """An answer whose tokens are known beforehand; it ends after so many."""

    prompt_tokens: int
    limit: int
    tokens: list[int] = field(default_factory=list)

    @property
    def length(self) -> int:
        return self.prompt_tokens + len(self.tokens)

    def add(self, token: int) -> StopReason | None:
        self.tokens.append(token)
        return "limit" if len(self.tokens) == self.limit else None


class _Dictation:
    """Keeps the logits of every row, and lets it go on as the trial's sequence does."""

    def __init__(self, trial: Trial, answers: Sequence[_Dictated]) -> None:
        self.trial = trial
        self.answers = answers
        self.logits: list[list[Tensor]] = [[] for _ in answers]

    def __call__(self, logits_RV: Tensor, prompts: Sequence[int]) -> list[int]:
        for row_V, prompt in zip(logits_RV.float(), prompts, strict=True):
            self.logits[prompt].append(row_V)
        # The last token of the longest answer is never read.
        last = len(self.trial.tokens) - 1
        places = [min(self.answers[prompt].length, last) for prompt in prompts]
        return [int(self.trial.tokens[place]) for place in places]

    def unseen(self, logits_RV: Tensor, prompts: Sequence[int]) -> None:
        """Every row is looked at."""
        del logits_RV, prompts


def _window(decoder: Decoder) -> int:
    """Keys that a query sees, where some layer bounds them; else 0."""
    if isinstance(decoder, HubModel):
        settings = decoder.model.config.get_text_config()
        return max(int(getattr(settings, name, None) or 0) for name in WINDOWS)
    layers = [layer for layer in decoder.config.layers if isinstance(layer, Attention)]
    return max((layer.window or 0 for layer in layers), default=0)


def _needed(decoder: Decoder) -> int:
    """Tokens of a prompt that is longer than the window and than two chunks of any layer.

    The layers of a model of transformers are not known, and so they have no chunks here.
    """
    chunk = max((layer.chunk_tokens for layer in decoder.config.layers), default=0)
    return max(_window(decoder), 2 * chunk) + 1


def _readable(decoder: Decoder, most: int) -> int:
    """Tokens, up to `most`, that one core is taken to read in `SECONDS`."""
    family = decoder.config.family
    budget = SECONDS * assumed(DEVICES["cpu"], family, "float32").flops
    if isinstance(decoder, HubModel):
        # What its layers are is not known: two FLOPs a parameter and token, as is usual.
        return int(budget / (2 * sum(each.numel() for each in decoder.parameters())))
    cost = costs(decoder.config)
    return bisect_right(range(most + 1), budget, key=lambda tokens: cost.read_flops(0, tokens)) - 1


def _positions(decoder: Decoder) -> int | None:
    if isinstance(decoder, HubModel):
        settings = decoder.model.config.get_text_config()
        return getattr(settings, "max_position_embeddings", None) or None
    return decoder.config.positions
