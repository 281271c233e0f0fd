"""Rows that are written beside one prefix against the same rows with all keys of their own.

Not yet run on a GPU.
"""

# Shapes: R rows, V vocabulary rows of the head.
import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from needlework.engine.groups import Group, read_prefixes
from needlework.engine.interruption import Interruption
from needlework.engine.recording import Steps, Writer, recorder_for
from needlework.engine.schedule import Limits
from needlework.engine.slots import NOTHING_READ, Behind
from needlework.models.decoder import Decoder
from needlework.models.random_weights import random_decoder
from needlework.proving.checking import share
from needlework.proving.clocks import draws, forget, wait
from needlework.proving.records import BesidePrefix
from needlework.proving.replaying import BLOCKS, TIMED, Launched, Seen, filled
from needlework.proving.steps import Scale
from needlework.tokenizers.prefixes import Tokens
from needlework.tolerances import TOLERANCES


@torch.inference_mode()
def compare_beside(scale: Scale, checkpoint: str) -> BesidePrefix:
    """Logits of both ways after the same tokens, and the seconds of a step of each.

    On a CPU both ways look at all keys of every row.
    """
    decoder = random_decoder(
        scale.models[checkpoint], device=scale.device, dtype=getattr(torch, scale.dtype)
    )
    rows, prefix = scale.rows[1], scale.context // 2
    first, *others = draws(decoder, rows, scale.context)
    # No row ends where another does.
    ends = [own[prefix : len(own) - row] for row, own in enumerate([first, *others])]
    prompts = [np.concatenate([first[:prefix], end]) for end in ends]
    limits = Limits(tokens=scale.call, chunk=scale.call, rows=1, states=1)
    group = Group(tuple(range(rows)), 0, prefix)
    ((_, behind),) = read_prefixes(
        decoder, prompts, [group], limits=limits, interruption=Interruption()
    )
    copied_seconds, logits = _written(decoder, scale, prompts, NOTHING_READ)
    beside_seconds, again = _written(decoder, scale, prompts, behind)
    pairs = zip(logits, again, strict=True)
    return BesidePrefix(
        checkpoint=checkpoint,
        dtype=scale.dtype,
        rows=rows,
        prefix=prefix,
        in_place=decoder.writes_beside_prefix,
        difference=max(share(after, before) for before, after in pairs),
        tolerance=TOLERANCES[scale.dtype, scale.device],
        copied_seconds=copied_seconds,
        beside_seconds=beside_seconds,
    )


def _written(
    decoder: Decoder, scale: Scale, prompts: Sequence[Tokens], behind: Behind
) -> tuple[float, list[Tensor]]:
    """Seconds of a step, and the logits of every step; each step reads given tokens."""
    forget()
    rows, seen = len(prompts), Seen()
    slots = filled(decoder, scale, prompts, behind)
    writer = Writer(decoder, seen, slots, decoder.config.vocabulary, 1)
    steps = Steps(writer, recorder_for(decoder) or Launched())
    seconds = 0.0
    for step in range(BLOCKS):
        wait(scale.device)
        began = time.perf_counter()
        steps.write([step] * rows, {row: row for row in range(rows)})
        if step >= BLOCKS - TIMED:
            seconds += time.perf_counter() - began
    return seconds / TIMED, seen.logits
