"""The next token of every row: greedy, or drawn as the published study drew it."""

# Shapes: R rows, V vocabulary rows of the head, K likeliest tokens.
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

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


class Chooser(Protocol):
    """How the next tokens are chosen."""

    def __call__(self, logits_RV: Tensor, prompts: Sequence[int]) -> list[int]:
        """One token for each row; row r continues prompt `prompts[r]`."""

    def unseen(self, logits_RV: Tensor, prompts: Sequence[int]) -> Tensor | None:
        """The same tokens, left on the device, or None where they depend on what is written."""


@dataclass(frozen=True)
class Greedy:
    """The likeliest token, whatever the batch.

    Where two tokens are so close that rounding could decide, the row is computed once more by
    itself, always in the same way: so neither batch size nor sharing changes an answer.
    """

    alone: Alone

    def __call__(self, logits_RV: Tensor, prompts: Sequence[int]) -> list[int]:
        """One token for each row."""
        best_R, tokens_R = logits_RV.max(dim=-1)
        tokens: list[int] = tokens_R.tolist()
        if close := close_share(logits_RV):
            threshold_R = best_R - close * logits_RV.abs().amax(dim=-1)
            contested_R = (logits_RV >= threshold_R[:, None]).sum(dim=-1) > 1
            for row in contested_R.nonzero()[:, 0].tolist():
                tokens[row] = int(self.alone(prompts[row])[: logits_RV.shape[1]].argmax())
        return tokens

    def unseen(self, logits_RV: Tensor, prompts: Sequence[int]) -> Tensor | None:
        """Nothing where a contested choice is computed once more, from the answer so far."""
        del prompts
        return None if close_share(logits_RV) else logits_RV.argmax(dim=-1)


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
        tokens: list[int] = self.unseen(logits_RV, prompts).tolist()
        return tokens

    def unseen(self, logits_RV: Tensor, prompts: Sequence[int]) -> Tensor:
        """The same, left on the device; draws of an answer that has ended concern no other."""
        best = logits_RV.topk(min(self.top_k, logits_RV.shape[1]), dim=-1)
        shares_RK = torch.softmax(best.values.double() / self.temperature, dim=-1)
        draws = [self._stream(prompt).random() for prompt in prompts]
        draws_R1 = torch.tensor(draws, dtype=torch.float64, device=logits_RV.device)[:, None]
        places_R1 = (shares_RK.cumsum(dim=-1) <= draws_R1).sum(dim=-1, keepdim=True)
        # The shares may add up to a little less than one.
        places_R1.clamp_(max=shares_RK.shape[1] - 1)
        return best.indices.gather(1, places_R1)[:, 0]

    def _stream(self, prompt: int) -> random.Random:
        if prompt not in self._streams:
            self._streams[prompt] = stream(self.seed, "answer", *self.addresses[prompt])
        return self._streams[prompt]
