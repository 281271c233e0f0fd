"""Attention of one token a row behind a prefix that all rows share: Triton kernels of our own.

The keys of the prefix are read once for many rows, those that a row has of its own beside it. Both
are cut into parts of so many keys that enough programs run at a time. A program finds of its part
the largest score, the sum of all weights relative to it, and the weighted values; the last kernel
puts the parts of each query together, as FlashDecoding does (Dao et al., 2023,
https://pytorch.org/blog/flash-decoding).

Scores, sums and weighted values are float32; weights are rounded to the dtype of the values.

Not yet run on a GPU.
"""

# Shapes: B batch, H heads, G key/value heads, S columns, P channels per head, N parts.
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from needlework.models.key_values import Prefix

KEYS = 64
"""Keys that a program looks at together."""
LEAST_QUERIES, MOST_QUERIES = 16, 64
"""Queries that a program looks at together; a product of matrices has sixteen rows at least."""
MOST_PARTS = 32
"""Of the keys on either side, which the last kernel puts together at once."""
PROGRAMS = 512
"""Programs that keep a GPU busy: several for each of the 108 multiprocessors of an A100."""
STAGES = 2
"""Steps whose keys are in shared memory: two, so that several programs have room in an A100's."""
NOTHING = tl.constexpr(-1.0e30)
"""Below every score: the largest of none."""


class Parts(NamedTuple):
    """What is known of every query and part of its keys."""

    largest_BHN: Tensor
    sums_BHN: Tensor
    values_BHNP: Tensor


@triton.jit
def attend_part(
    queries, keys, values, key_step, column, stop, count, width, scale,
    ROWS: tl.constexpr, SIZE: tl.constexpr, STEP: tl.constexpr, channel, of_query,
):  # fmt: skip
    """The part of `count` keys from `column` on, those from `stop` on left out."""
    x = tl.load(queries[:, None] + channel[None], mask=of_query, other=0.0)
    largest = tl.full((ROWS,), NOTHING, dtype=tl.float32)
    total = tl.zeros((ROWS,), dtype=tl.float32)
    found = tl.zeros((ROWS, SIZE), dtype=tl.float32)
    for begin in range(0, count, STEP):
        place = column + begin + tl.arange(0, STEP)
        inside = (place < stop) & (begin + tl.arange(0, STEP) < count)
        source = place.to(tl.int64)[:, None] * key_step + channel[None]
        of_key = inside[:, None] & (channel < width)[None]
        k = tl.load(keys + source, mask=of_key, other=0.0)
        v = tl.load(values + source, mask=of_key, other=0.0)
        score = tl.dot(x, tl.trans(k), input_precision="ieee") * scale
        score = tl.where(inside[None], score, float("-inf"))
        higher = tl.maximum(largest, tl.max(score, 1))
        weight = tl.exp(score - higher[:, None])
        kept = tl.exp(largest - higher)
        total = total * kept + tl.sum(weight, 1)
        found = found * kept[:, None] + tl.dot(weight.to(v.dtype), v, input_precision="ieee")
        largest = higher
    return largest, total, found


@triton.jit(do_not_specialize=["rows", "length", "parts"])
def prefix_kernel(
    q, keys, values, largest, sums, found, q_row, q_head, key_head, key_step, rows, heads, each,
    length, count, width, scale, parts, ROWS: tl.constexpr, SIZE: tl.constexpr, STEP: tl.constexpr,
):  # fmt: skip
    """Queries of many rows, of the heads that share keys, and one part of the prefix."""
    group = tl.program_id(1)
    part = tl.program_id(2)
    query = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    row = (query // each).to(tl.int64)
    head = group * each + query % each
    channel = tl.arange(0, SIZE)
    valid = query < rows * each
    of_query = valid[:, None] & (channel < width)[None]
    most, total, y = attend_part(
        q + row * q_row + head * q_head, keys + group.to(tl.int64) * key_head,
        values + group.to(tl.int64) * key_head, key_step, part * count, length, count, width,
        scale, ROWS, SIZE, STEP, channel, of_query,
    )  # fmt: skip
    target = (row * heads + head) * parts + part
    tl.store(largest + target, most, mask=valid)
    tl.store(sums + target, total, mask=valid)
    tl.store(found + target[:, None] * width + channel[None], y, mask=of_query)


@triton.jit(do_not_specialize=["first", "parts"])
def own_kernel(
    q, keys, values, lengths, largest, sums, found, q_row, q_head, key_row, key_head, key_step,
    heads, each, count, width, scale, first, parts,
    ROWS: tl.constexpr, SIZE: tl.constexpr, STEP: tl.constexpr,
):  # fmt: skip
    """Queries of one row, of the heads that share keys, and one part of the row's own keys."""
    row = tl.program_id(0).to(tl.int64)
    group = tl.program_id(1)
    part = tl.program_id(2)
    query = tl.arange(0, ROWS)
    head = group * each + query
    channel = tl.arange(0, SIZE)
    valid = query < each
    of_query = valid[:, None] & (channel < width)[None]
    source = row * key_row + group.to(tl.int64) * key_head
    most, total, y = attend_part(
        q + row * q_row + head * q_head, keys + source, values + source, key_step, part * count,
        tl.load(lengths + row), count, width, scale, ROWS, SIZE, STEP, channel, of_query,
    )  # fmt: skip
    target = (row * heads + head) * parts + first + part
    tl.store(largest + target, most, mask=valid)
    tl.store(sums + target, total, mask=valid)
    tl.store(found + target[:, None] * width + channel[None], y, mask=of_query)


@triton.jit(do_not_specialize=["parts"])
def merge_kernel(largest, sums, found, out, parts, width, SIZE: tl.constexpr, PARTS: tl.constexpr):
    """The parts of one query, each weighted by how its largest score compares with that of all."""
    query = tl.program_id(0).to(tl.int64)
    part = tl.arange(0, PARTS)
    channel = tl.arange(0, SIZE)
    there = part < parts
    most = tl.load(largest + query * parts + part, mask=there, other=NOTHING)
    weight = tl.exp(most - tl.max(most, 0))
    total = tl.sum(tl.load(sums + query * parts + part, mask=there, other=0.0) * weight, 0)
    source = (query * parts + part[:, None]) * width + channel[None]
    within = there[:, None] & (channel < width)[None]
    y = tl.sum(tl.load(found + source, mask=within, other=0.0) * weight[:, None], 0)
    tl.store(out + query * width + channel, y / total, mask=channel < width)


def attend_beside(
    q_BH1P: Tensor, prefix: Prefix, keys_BGSP: Tensor, values_BGSP: Tensor, length_B: Tensor
) -> Tensor:
    """What the last token of every row finds, (B, H, 1, P), among the prefix and its own keys.

    Row b has the first `length_B[b]` of its columns in use, its token's own included.
    """
    rows, heads, _, width = q_BH1P.shape
    groups, columns = keys_BGSP.shape[1:3]
    each = heads // groups
    for tensor in (q_BH1P, keys_BGSP, prefix.keys_1HSP):
        assert tensor.stride(3) == 1
    assert keys_BGSP.stride() == values_BGSP.stride()
    assert prefix.keys_1HSP.stride() == prefix.values_1HSP.stride()
    size = max(16, triton.next_power_of_2(width))
    together = min(MOST_QUERIES, max(LEAST_QUERIES, triton.next_power_of_2(rows * each)))
    blocks = triton.cdiv(rows * each, together)
    shared, of_shared = cut(prefix.length, blocks * groups)
    own, of_own = cut(columns, rows * groups)
    found = _parts(q_BH1P, shared + own)
    scale = width**-0.5
    prefix_kernel[(blocks, groups, shared)](
        q_BH1P, prefix.keys_1HSP, prefix.values_1HSP, *found, q_BH1P.stride(0), q_BH1P.stride(1),
        prefix.keys_1HSP.stride(1), prefix.keys_1HSP.stride(2), rows, heads, each, prefix.length,
        of_shared, width, scale, shared + own, together, size, KEYS, num_stages=STAGES,
    )  # fmt: skip
    own_kernel[(rows, groups, own)](
        q_BH1P, keys_BGSP, values_BGSP, length_B, *found, q_BH1P.stride(0), q_BH1P.stride(1),
        keys_BGSP.stride(0), keys_BGSP.stride(1), keys_BGSP.stride(2), heads, each, of_own, width,
        scale, shared, shared + own, max(LEAST_QUERIES, triton.next_power_of_2(each)), size, KEYS,
        num_stages=STAGES,
    )  # fmt: skip
    out = torch.empty(rows, heads, 1, width, dtype=q_BH1P.dtype, device=q_BH1P.device)
    merge_kernel[(rows * heads,)](
        *found, out, shared + own, width, size, triton.next_power_of_2(shared + own)
    )
    return out


def cut(keys: int, programs: int) -> tuple[int, int]:
    """In how many parts to look at keys, and how many keys each has, a whole number of steps.

    `programs` run at a time for every part.
    """
    steps = triton.cdiv(keys, KEYS)
    parts = max(1, min(steps, PROGRAMS // programs, MOST_PARTS))
    of_each = triton.cdiv(steps, parts)
    return triton.cdiv(steps, of_each), of_each * KEYS


def _parts(q_BH1P: Tensor, parts: int) -> Parts:
    rows, heads, _, width = q_BH1P.shape
    numbers = q_BH1P.new_empty(2, rows, heads, parts, dtype=torch.float32)
    values = q_BH1P.new_empty(rows, heads, parts, width, dtype=torch.float32)
    return Parts(numbers[0], numbers[1], values)
