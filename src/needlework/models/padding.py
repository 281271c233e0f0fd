"""What is valid in a padded batch, sequences cut into chunks, and decays inside a chunk."""

# Shapes: B batch, T tokens, C chunks, L tokens per chunk.
import torch
from torch import Tensor
from torch.nn import functional as F


def valid_tokens(lengths_B: Tensor, like_BT: Tensor) -> Tensor:
    """True where a token is one of its row's first `lengths_B[b]`; shape (B, T)."""
    position_T = torch.arange(like_BT.shape[1], device=lengths_B.device)
    return position_T < lengths_B[:, None]


def last_token(sequence: Tensor, lengths_B: Tensor | None) -> Tensor:
    """The last valid token of every row: (B, T, ...) as (B, 1, ...); undefined without any."""
    if lengths_B is None:
        return sequence[:, -1:]
    rows_B = torch.arange(len(sequence), device=sequence.device)
    return sequence[rows_B, (lengths_B - 1).clamp(min=0)][:, None]


def in_chunks(sequence: Tensor, size: int) -> Tensor:
    """(B, T, ...) as (B, C, L, ...), the last chunk filled up with zeros."""
    missing = -sequence.shape[1] % size
    if missing:
        sequence = F.pad(sequence, (0, 0) * (sequence.ndim - 2) + (0, missing))
    return torch.unflatten(sequence, 1, (-1, size))


def decays_between(until: Tensor) -> Tensor:
    """exp(sum of log decays after token j up to token i) for j <= i, else 0; shape (..., L, L).

    `until` has the sums up to every token of a chunk, over its last axis.
    """
    between = until[..., :, None] - until[..., None, :]
    size = between.shape[-1]
    later = torch.ones(size, size, dtype=torch.bool, device=between.device).triu(1)
    return between.masked_fill(later, float("-inf")).exp()
