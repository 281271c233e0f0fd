"""The next token of every row: greedy, or drawn as the published study drew it."""

# Shapes: R rows, V vocabulary rows of the head, K likeliest tokens.
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from needlework.models import kernels
from needlework.rng import stream

CLOSE = {torch.float32: 1e-4, torch.float64: 1e-12}
"""Logits nearer to the best than this share of their size may change places with it.

Rounding differs with the shape of the batch: over the nano models by at most 1.3e-6 of the logits'
size in float32, so the margin is wide. Half precision is not listed: there too many choices are
close, and results vary with the batch.
"""
CLOSE_ON_CUDA = 5e-3
"""The same share for float32 on CUDA, where kernels multiply with 10 bits of each factor (TF32).

Emulated, that alone moves logits of random nano models by up to 1.3e-3 of the largest, and pieces
of other lengths are rounded differently. Not yet run on a GPU.
"""

Alone = Callable[[int], Tensor]
"""Logits of shape (V,) that follow prompt number `prompt` and its answer so far, computed alone."""


class Picked(NamedTuple):
    """A token for each row, left on the device."""

    tokens_R: Tensor
    contested_R: Tensor | None
    """Of which rows it is another where that is said `again`; None where no choice is contested,
    so that several may be made before anybody looks."""


class Chooser(Protocol):
    """How the next tokens are chosen."""

    def __call__(self, logits_RV: Tensor, prompts: Sequence[int]) -> list[int]:
        """One token for each row; row r continues prompt `prompts[r]`."""

    def draws(self, prompts: Sequence[int]) -> list[float]:
        """For each prompt, what its next token is drawn by; zeros where nothing is."""

    def picked(self, logits_RV: Tensor, draws_R: Tensor) -> Picked | None:
        """The tokens by these draws, in float64; None where the host has to see the logits."""

    def again(self, prompt: int, rows: int) -> int:
        """What a contested choice is, among so many rows of the head."""


@dataclass(frozen=True)
class Greedy:
    """The likeliest token, whatever the batch.

    Where two tokens are so close that rounding could decide, the row is computed once more by
    itself, always in the same way: so neither batch size nor sharing changes an answer.
    """

    alone: Alone

    def __call__(self, logits_RV: Tensor, prompts: Sequence[int]) -> list[int]:
        """One token for each row."""
        tokens_R, contested_R = self.picked(logits_RV)
        tokens: list[int] = tokens_R.tolist()
        if contested_R is not None:
            for row in contested_R.nonzero()[:, 0].tolist():
                tokens[row] = self.again(prompts[row], logits_RV.shape[1])
        return tokens

    def draws(self, prompts: Sequence[int]) -> list[float]:
        """Zeros."""
        return [0.0] * len(prompts)

    def picked(self, logits_RV: Tensor, draws_R: Tensor | None = None) -> Picked:
        """The likeliest tokens, whatever is drawn."""
        del draws_R
        best_R, tokens_R = logits_RV.max(dim=-1)
        if not (close := close_share(logits_RV)):
            return Picked(tokens_R, None)
        threshold_R = best_R - close * logits_RV.abs().amax(dim=-1)
        return Picked(tokens_R, (logits_RV >= threshold_R[:, None]).sum(dim=-1) > 1)

    def again(self, prompt: int, rows: int) -> int:
        """The likeliest token of the row computed by itself."""
        return int(self.alone(prompt)[:rows].argmax())


def close_share(logits: Tensor) -> float | None:
    """How near to the best logit another contests its place, as a share of the largest logit.

    None where too many would.
    """
    if logits.dtype is torch.float32 and kernels.accelerated(logits.device):
        return CLOSE_ON_CUDA
    return CLOSE.get(logits.dtype)


@dataclass(frozen=True)
class Sampled:
    """A draw among the `top_k` likeliest tokens; every prompt has a stream of its own."""

    top_k: int
    temperature: float
    seed: int
    addresses: Sequence[tuple[str | int, ...]]
    """Where each prompt's stream is found below the seed."""
    _streams: dict[int, random.Random] = field(default_factory=dict)

    def __call__(self, logits_RV: Tensor, prompts: Sequence[int]) -> list[int]:
        """One token for each row."""
        draws = self.draws(prompts)
        draws_R = torch.tensor(draws, dtype=torch.float64, device=logits_RV.device)
        tokens: list[int] = self.picked(logits_RV, draws_R).tokens_R.tolist()
        return tokens

    def draws(self, prompts: Sequence[int]) -> list[float]:
        """The next numbers of the prompts' streams; an answer that has ended needs none."""
        return [self._stream(prompt).random() for prompt in prompts]

    def picked(self, logits_RV: Tensor, draws_R: Tensor) -> Picked:
        """The tokens in whose shares of one the draws fall."""
        best = logits_RV.topk(min(self.top_k, logits_RV.shape[1]), dim=-1)
        shares_RK = torch.softmax(best.values.double() / self.temperature, dim=-1)
        places_R1 = (shares_RK.cumsum(dim=-1) <= draws_R[:, None]).sum(dim=-1, keepdim=True)
        # The shares may add up to a little less than one.
        places_R1.clamp_(max=shares_RK.shape[1] - 1)
        return Picked(best.indices.gather(1, places_R1)[:, 0], None)

    def again(self, prompt: int, rows: int) -> int:
        """Never asked: no draw is contested."""
        raise AssertionError(f"the draw for prompt {prompt} among {rows} rows is not contested")

    def _stream(self, prompt: int) -> random.Random:
        if prompt not in self._streams:
            self._streams[prompt] = stream(self.seed, "answer", *self.addresses[prompt])
        return self._streams[prompt]
