"""What one token of each row costs in attention: `python -m benchmarks.lone_queries`, as Markdown.

CPU milliseconds of one call over 1,024 keys, nine heads of 64 channels, eight rows, one thread: of
torch's own attention, and of `from_one_token`, which a CPU takes in its place in 16 bits.
"""

import sys
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from needlework.models.attending import HALF, from_one_token

ROWS, HEADS, KEYS, WIDTH = 8, 9, 1024, 64
KEY_HEADS = (3, 9)
CALLS = 30


def main() -> None:
    """Write the table, a line as soon as it is known."""
    torch.set_num_threads(1)
    sys.stdout.write("| dtype | key heads | torch, ms | in its place, ms |\n|---|--:|--:|--:|\n")
    for dtype in HALF:
        for groups in KEY_HEADS:
            q = torch.randn(ROWS, HEADS, 1, WIDTH, dtype=dtype)
            k, v = (torch.randn(ROWS, groups, KEYS, WIDTH, dtype=dtype) for _ in range(2))
            theirs = _least(partial(F.scaled_dot_product_attention, q, k, v, enable_gqa=True))
            ours = _least(partial(from_one_token, q, k, v, None))
            name = str(dtype).removeprefix("torch.")
            sys.stdout.write(f"| {name} | {groups} | {theirs:.1f} | {ours:.1f} |\n")


@torch.inference_mode()
def _least(call: Callable[[], Tensor]) -> float:
    """The least CPU milliseconds of some calls."""
    call()
    found = []
    for _ in range(CALLS):
        began = time.process_time()
        call()
        found.append(time.process_time() - began)
    return 1000 * min(found)


if __name__ == "__main__":
    main()
