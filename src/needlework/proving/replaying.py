"""Recorded steps of whole decoders against the same steps launched one by one.

Not yet run on a GPU.
"""

# Shapes: R rows, V vocabulary rows of the head.
import time
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from needlework.cost.room import UNSEEN
from needlework.engine.prefill import read
from needlework.engine.recording import Recorder, Run, Steps, Writer, recorder_for
from needlework.engine.schedule import Limits
from needlework.engine.slots import NOTHING_READ, Behind, Slots
from needlework.models.decoder import Decoder
from needlework.models.random_weights import random_decoder
from needlework.proving.checking import share
from needlework.proving.clocks import draws, forget, wait
from needlework.proving.measuring import Likeliest
from needlework.proving.records import Replayed
from needlework.proving.steps import Scale
from needlework.tokenizers.prefixes import Tokens

BLOCKS = 6
"""Of steps: the first is launched, the second recorded, the others are timed."""
TIMED = 4


class Launched:
    """Records nothing: whatever is asked for again is launched again."""

    def record(self, run: Run) -> Run:
        """The same."""
        return run


class Seen(Likeliest):
    """Keeps the logits by which the likeliest tokens are chosen."""

    def __init__(self) -> None:
        self.logits: list[Tensor] = []

    def __call__(self, logits_RV: Tensor, prompts: Sequence[int]) -> list[int]:
        """The likeliest tokens, whose logits are noted."""
        self.logits.append(logits_RV.clone())
        return super().__call__(logits_RV, prompts)

    def picked(self, logits_RV: Tensor, draws_R: Tensor) -> None:
        """Nothing before the logits are seen."""
        del logits_RV, draws_R


@torch.inference_mode()
def compare_replays(scale: Scale, checkpoint: str) -> Replayed:
    """Logits and tokens of both ways, and the seconds of a step of each.

    Where nothing can be recorded, as on a CPU, both ways are one.
    """
    decoder = random_decoder(
        scale.models[checkpoint], device=scale.device, dtype=getattr(torch, scale.dtype)
    )
    rows = scale.rows[1]
    run = partial(_written, decoder, scale, rows)
    recorder = recorder_for(decoder)
    launched, launched_seconds, logits = run(Launched())
    replayed, replayed_seconds, again = run(recorder or Launched())
    pairs = zip(logits, again, strict=True)
    return Replayed(
        checkpoint=checkpoint,
        dtype=scale.dtype,
        rows=rows,
        tokens=len(launched) * rows,
        recorded=recorder is not None,
        differing=sum(
            one != other
            for before, after in zip(launched, replayed, strict=True)
            for one, other in zip(before, after, strict=True)
        ),
        difference=max(share(after, before) for before, after in pairs),
        launched_seconds=launched_seconds,
        replayed_seconds=replayed_seconds,
    )


def _written(
    decoder: Decoder, scale: Scale, rows: int, recorder: Recorder
) -> tuple[list[list[int]], float, list[Tensor]]:
    """Tokens step by step, the seconds of a step, and the logits of other steps."""
    forget()
    tokens, seconds = [], 0.0
    steps, last = _begun(decoder, scale, rows, recorder, Likeliest(), UNSEEN)
    for block in range(BLOCKS):
        wait(scale.device)
        began = time.perf_counter()
        written = steps.write(last, {row: row for row in range(rows)})
        if block >= BLOCKS - TIMED:
            seconds += time.perf_counter() - began
        tokens += [[token for token, _ in step] for step in written.choices]
        last = tokens[-1]
    del steps
    seen = Seen()
    steps, last = _begun(decoder, scale, rows, recorder, seen, 1)
    for _ in range(BLOCKS):
        (step,) = steps.write(last, {row: row for row in range(rows)}).choices
        last = [token for token, _ in step]
    return tokens, seconds / (TIMED * UNSEEN), seen.logits


def _begun(
    decoder: Decoder,
    scale: Scale,
    rows: int,
    recorder: Recorder,
    choose: Likeliest,
    unseen: int,
) -> tuple[Steps, list[int]]:
    """Steps after one prompt in every row, none as long as another, and what they read first."""
    drawn = enumerate(draws(decoder, rows, scale.context))
    prompts = [prompt[: max(1, len(prompt) - row)] for row, prompt in drawn]
    slots = filled(decoder, scale, prompts)
    writer = Writer(decoder, choose, slots, decoder.config.vocabulary, unseen)
    return Steps(writer, recorder), [0] * rows


def filled(
    decoder: Decoder, scale: Scale, prompts: Sequence[Tokens], behind: Behind = NOTHING_READ
) -> Slots:
    """Slots with a prompt in each, read one by one, with room for all steps that are taken."""
    rows = len(prompts)
    slots = Slots(
        decoder,
        answers=rows,
        kept=0,
        total=rows,
        prompt=scale.context - behind.tokens,
        answer=BLOCKS * UNSEEN,
        behind=behind,
    )
    limits = Limits(tokens=scale.call, chunk=scale.call, rows=1, states=1)
    for row, prompt in enumerate(prompts):
        before, rest = slots.begin([None]), prompt[behind.tokens :]
        ((_, _, after),) = read(decoder, [rest], before, limits=limits)
        slots.storage.put(row, after.after_prompt())
    return slots
