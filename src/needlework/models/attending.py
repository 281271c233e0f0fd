"""Which keys queries see, said once, and the cheapest call that each backend has for it.

No call writes the scores of all pairs down, and no mask grows with the product of queries and keys:
where a mask is needed, queries come in blocks.

What is for CUDA is not yet run on a GPU.
"""

# Shapes: B batch, H heads, G key/value heads, T tokens, S cached columns, P channels per head,
# R queries of a group.
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from needlework.models import cuda, kernels
from needlework.models.key_values import KeyValueState
from needlework.models.sharing import once

HALF = (torch.bfloat16, torch.float16)
"""Numbers of 16 bits, in which torch on a CPU has no fast product of a vector and a matrix."""
MASKED_PAIRS = 1 << 24
"""Queries times keys, over all rows, that one mask may have."""
WINDOWED_QUERIES = 512
"""Queries of a block on CUDA whose keys are those of its window alone."""


@dataclass(frozen=True)
class Sight:
    """Every query sees its own column and those before it in its row, `window` of them at most.

    Query t of row b stands at column `start_B[b] + t`, or beyond `end_B[b]` if it is padding: then
    what comes of it is dropped, but has to be finite, for NaN would poison the layers above.
    """

    tokens: int
    """Queries of a row."""
    start_B: Tensor
    end_B: Tensor
    """Columns a row has in use, those of the valid queries included."""
    columns: int
    """The most of them."""
    reach: int
    """Columns that are written in some row, those of padding included."""
    aligned: bool
    """Whether all rows begin at one column, which is `reach - tokens`."""
    level: bool
    """Whether all rows end at one column."""
    window: int | None

    @classmethod
    def between(
        cls, before: KeyValueState, after: KeyValueState, tokens: int, window: int | None
    ) -> Self:
        """What `tokens` queries see whose keys were appended to one state and gave the other."""
        return cls(
            tokens=tokens,
            start_B=before.length_B,
            end_B=after.length_B,
            columns=after.longest,
            reach=before.beyond(tokens),
            aligned=before.uniform,
            level=after.uniform,
            window=window,
        )

    @classmethod
    def at_end(cls, after: KeyValueState, window: int | None) -> Self:
        """What one query a row sees, its last."""
        return cls(
            tokens=1,
            start_B=once(("last", after.length_B), lambda: after.length_B - 1),
            end_B=after.length_B,
            columns=after.longest,
            reach=after.longest,
            aligned=after.uniform,
            level=after.uniform,
            window=window,
        )

    def behind(self, tokens: int) -> Self:
        """The same where so many columns stand before all of these, which every query sees."""
        assert self.window is None, "what a window has passed is not kept as a prefix"
        return replace(
            self,
            start_B=self.start_B + tokens,
            end_B=self.end_B + tokens,
            columns=self.columns + tokens,
            reach=self.reach + tokens,
        )

    @property
    def bounded(self) -> bool:
        """Whether some query may have columns before its window."""
        return self.window is not None and self.reach > self.window

    def first_column(self, query: int) -> int:
        """The first column that this query sees, where rows are aligned."""
        own = self.reach - self.tokens + query
        return 0 if self.window is None else max(0, own + 1 - self.window)

    def mask(self, queries: range, columns: range) -> Tensor:
        """True where one of these queries sees one of these columns, (1 or B, 1, T, S).

        The columns have to hold all that the valid ones see; a padded query then sees one of them.
        The mask of a step is the same in every layer of this kind.
        """
        if self.tokens > 1:
            return self._mask(queries, columns)
        key = ("mask", self.start_B, self.end_B, self.window, columns)
        return once(key, lambda: self._mask(queries, columns))

    def _mask(self, queries: range, columns: range) -> Tensor:
        rows = slice(0, 1) if self.aligned and self.level else slice(None)
        query_T = torch.arange(queries.start, queries.stop, device=self.end_B.device)
        own_BT = self.start_B[rows, None] + query_T
        own_BT = own_BT.minimum(self.end_B[rows, None] - 1).clamp(min=columns.start)
        # Compared, not subtracted: a mask takes a byte for every pair, a difference eight.
        column_S = torch.arange(columns.start, columns.stop, device=self.end_B.device)
        mask_BTS = column_S <= own_BT[:, :, None]
        if self.window is not None:
            mask_BTS &= column_S > own_BT[:, :, None] - self.window
        return mask_BTS[:, None]


def attend(q_BHTP: Tensor, cache: KeyValueState, sight: Sight) -> Tensor:
    """What queries find among the keys and values of a cache to which theirs were appended.

    Many queries a row, which have more to compute than to read, look at a copy of the prefix.
    """
    prefix, device, dtype = cache.prefix, q_BHTP.device, q_BHTP.dtype
    if prefix is not None and sight.tokens == 1 and kernels.looks_beside(device, dtype):
        from needlework.models import fused_attention

        own = cache.columns(sight.reach)
        past_B = once(("past", sight.start_B), lambda: sight.start_B + 1)
        return fused_attention.attend_beside(q_BHTP, prefix, *own, past_B)
    if prefix is not None:
        cache, sight = cache.joined(sight.reach), sight.behind(prefix.length)
    if not kernels.accelerated(device):
        return _by_torch(q_BHTP, cache, sight)
    taken = cuda.attends(q_BHTP.shape[-1], dtype)
    if taken and kernels.chosen("attention", device, dtype) != kernels.TORCH:
        return _by_flash_attn(q_BHTP, cache, sight)
    return _by_torch_on_cuda(q_BHTP, cache, sight)


def attend_masked(q_BHTP: Tensor, k_BGSP: Tensor, v_BGSP: Tensor, mask: Tensor) -> Tensor:
    """What queries find where a mask of no regular kind says what they see."""
    if kernels.accelerated(q_BHTP.device):
        return _grouped(q_BHTP, k_BGSP, v_BGSP, mask)
    return _shared(q_BHTP, k_BGSP, v_BGSP, mask, is_causal=False)


def _shared(
    q_BHTP: Tensor, k_BGSP: Tensor, v_BGSP: Tensor, mask: Tensor | None, *, is_causal: bool
) -> Tensor:
    """torch on a CPU, which shares keys among heads by itself."""
    if q_BHTP.shape[2] == 1 and q_BHTP.dtype in HALF and q_BHTP.device.type == "cpu":
        return from_one_token(q_BHTP, k_BGSP, v_BGSP, mask)
    grouped = q_BHTP.shape[1] != k_BGSP.shape[1]
    return F.scaled_dot_product_attention(
        q_BHTP, k_BGSP, v_BGSP, attn_mask=mask, is_causal=is_causal, enable_gqa=grouped
    )


def from_one_token(
    q_BH1P: Tensor, k_BGSP: Tensor, v_BGSP: Tensor, mask_B11S: Tensor | None
) -> Tensor:
    """Attention of one token a row in bfloat16 or float16 on a CPU, (B, H, 1, P).

    A head's lone query times its keys is a vector times a matrix, for which torch has no fast form
    in either; two queries and more are a product of matrices, two to five times faster. So the
    queries of a group are asked together, and where every head has its own keys, each is asked
    twice.
    """
    rows, heads, _, width = q_BH1P.shape
    groups = k_BGSP.shape[1]
    q_BGRP = q_BH1P.reshape(rows, groups, heads // groups, width)
    if heads == groups:
        q_BGRP = q_BGRP.expand(-1, -1, 2, -1)
    y_BGRP = F.scaled_dot_product_attention(q_BGRP, k_BGSP, v_BGSP, attn_mask=mask_B11S)
    return y_BGRP[:, :, : heads // groups].reshape(rows, heads, 1, width)


def _by_torch(q_BHTP: Tensor, cache: KeyValueState, sight: Sight) -> Tensor:
    """On a CPU, where torch shares keys among heads and takes masks without writing scores down."""
    keys, values = cache.keys_BHSP, cache.values_BHSP
    if sight.window is None or sight.columns <= sight.window:
        whole = sight.tokens > 1 and sight.reach == sight.tokens
        if whole or (sight.tokens == 1 and sight.level):
            return _shared(q_BHTP, keys, values, None, is_causal=whole)
    columns = range(sight.columns)
    parts = [
        attend_masked(
            q_BHTP[:, :, queries.start : queries.stop], keys, values, sight.mask(queries, columns)
        )
        for queries in _blocks(sight, len(columns))
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)


def _blocks(
    sight: Sight, columns: int, *, copies: int = 1, most: int | None = None
) -> Iterator[range]:
    """The queries in blocks whose masks have `MASKED_PAIRS` pairs at most.

    A mask that differs from row to row is there `copies` times.
    """
    rows = 1 if sight.aligned and sight.level else copies * len(sight.end_B)
    size = max(1, MASKED_PAIRS // max(1, rows * columns))
    size = size if most is None else min(size, most)
    for start in range(0, sight.tokens, size):
        yield range(start, min(start + size, sight.tokens))


def _by_flash_attn(q_BHTP: Tensor, cache: KeyValueState, sight: Sight) -> Tensor:
    """Two calls say everything: rows that begin together, and rows of any length."""
    keys, values = cache.columns(sight.reach)
    window = sight.window if sight.bounded else None
    if sight.aligned:
        return cuda.attention(q_BHTP, keys, values, window=window)
    length_B = sight.start_B + sight.tokens
    return cuda.attention_of_rows(q_BHTP, keys, values, length_B, window=window)


def _by_torch_on_cuda(q_BHTP: Tensor, cache: KeyValueState, sight: Sight) -> Tensor:
    """torch's own kernels, of which the one for masks knows neither windows nor shared keys."""
    keys, values = cache.columns(sight.reach)
    if sight.aligned and sight.tokens == 1:
        seen = slice(sight.first_column(0), sight.reach)
        return _grouped(q_BHTP, keys[:, :, seen], values[:, :, seen], None)
    if sight.aligned and not sight.bounded:
        return _grouped(q_BHTP, keys, values, _to_the_end(sight.tokens, sight.reach))
    parts = []
    most = WINDOWED_QUERIES if sight.aligned else None
    copies = 1 if q_BHTP.shape[1] == keys.shape[1] else keys.shape[1]
    for queries in _blocks(sight, sight.reach, copies=copies, most=most):
        seen = slice(0, sight.reach)
        if sight.aligned:
            past_last = sight.reach - sight.tokens + queries.stop
            seen = slice(sight.first_column(queries.start), past_last)
        mask = sight.mask(queries, range(seen.start, seen.stop))
        some = q_BHTP[:, :, queries.start : queries.stop]
        parts.append(_grouped(some, keys[:, :, seen], values[:, :, seen], mask))
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)


def _to_the_end(queries: int, columns: int) -> Tensor:
    """torch's own word for queries that stand at the last columns and see all up to theirs.

    What it is written in imports torch's compiler, which takes a second, and only prompts that are
    read on CUDA need it.
    """
    from torch.nn.attention.bias import causal_lower_right

    bias: Tensor = causal_lower_right(queries, columns)
    return bias


def _grouped(q_BHTP: Tensor, k_BGSP: Tensor, v_BGSP: Tensor, mask: Tensor | None) -> Tensor:
    """Keys and values once for every head, as views: a group is a row of its own for the kernel.

    Told to share keys, torch falls back to a kernel that writes all scores down in float32.
    """
    rows, heads = q_BHTP.shape[:2]
    groups = k_BGSP.shape[1]
    if heads == groups:
        return F.scaled_dot_product_attention(
            q_BHTP, k_BGSP, v_BGSP, attn_mask=mask, is_causal=False, enable_gqa=False
        )
    each = heads // groups
    q = torch.unflatten(q_BHTP, 1, (groups, each)).flatten(0, 1)
    k, v = (kv.flatten(0, 1)[:, None].expand(-1, each, -1, -1) for kv in (k_BGSP, v_BGSP))
    if mask is not None and mask.ndim == 4 and len(mask) > 1:
        mask = mask.repeat_interleave(groups, dim=0)
    found = F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=False, enable_gqa=False
    )
    return torch.unflatten(found, 0, (rows, groups)).flatten(1, 2)
