"""How much of a prompt lies before all rows of a batch, in memory once, where prompts begin alike.

The engine chooses groups of prompts, each beside one prefix (`engine.groups`); this is what can be
said before datasets exist.
"""

import math
from typing import NamedTuple

from needlework.cost.formulas import Decoder
from needlework.cost.work import Work


class Beside(NamedTuple):
    """A group of prompts that are answered beside what they have in common."""

    prefix: int
    """Tokens of that; 0 where every row has all of its keys for itself."""
    prompts: int


def expected_group(decoder: Decoder, work: Work, width: int) -> Beside:
    """The groups of a task's prompts, all taken to be like their mean.

    Where places at which prompts part lie s tokens from each other, m prompts beside the prefix of
    the first of them leave s m (m - 1) / 2 tokens to be read by one row alone; the next group
    begins when that outweighs what a group costs.
    """
    least, shared, prompts = decoder.least_saved(width), work.shared_tokens, work.samples
    alone = Beside(0, prompts)
    if (prompts - 1) * shared < least:
        return alone
    if not work.spread:
        return Beside(int(shared), prompts)
    apart = work.spread / prompts
    together = min(prompts, math.ceil(math.sqrt(2 * least / apart)))
    prefix = int(shared - apart * together / 2)
    return Beside(prefix, together) if prefix * (together - 1) >= least else alone
