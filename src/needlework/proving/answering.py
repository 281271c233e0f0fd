"""What the engine answers and reads with whole decoders: batches of any size, long prompts.

Not yet run on a GPU.
"""

import time

import torch

from needlework.engine.interruption import Interruption
from needlework.engine.memory import DoesNotFitError, limits_for
from needlework.engine.running import Engine, Question
from needlework.engine.schedule import Limits
from needlework.engine.stopping import Decoding, Pieces, StopRule
from needlework.errors import EngineError
from needlework.models.decoder import Decoder
from needlework.models.random_weights import random_decoder
from needlework.proving.clocks import Numbers, draws, forget, peak_bytes, read_prompts, wait
from needlework.proving.records import BatchAnswers, LongRead
from needlework.proving.steps import Scale

GREEDY = Decoding(decided=False, end_tokens=False)


@torch.inference_mode()
def compare_batches(scale: Scale, checkpoint: str) -> BatchAnswers:
    """The engine's greedy answers one row at a time, and in batches.

    Random weights leave the likeliest tokens closer to each other than trained ones do.

    Raises:
        EngineError: an answer failed.
    """
    decoder = random_decoder(
        scale.models[checkpoint], device=scale.device, dtype=getattr(torch, scale.dtype)
    )
    alone = _answers(decoder, scale, 1)
    differing = {}
    for rows in scale.batches:
        together = _answers(decoder, scale, rows)
        differing[rows] = sum(alone[each] != together[each] for each in alone)
    return BatchAnswers(
        checkpoint=checkpoint,
        dtype=scale.dtype,
        prompts=scale.prompts,
        tokens=scale.answer,
        differing=differing,
    )


def _answers(decoder: Decoder, scale: Scale, rows: int) -> dict[int, tuple[int, ...]]:
    rule = StopRule(limit=scale.answer, outputs=(), metric="all", decided=False)
    questions = [
        Question(tokens, rule, (number,))
        for number, tokens in enumerate(draws(decoder, scale.prompts, scale.context))
    ]
    engine = Engine(decoder, Pieces(Numbers()), GREEDY, decoder.config.vocabulary)
    limits = Limits(tokens=scale.call, chunk=scale.call, rows=rows, states=1)
    answers = {}
    for finished in engine.answer(questions, limits, Interruption()):
        if finished.error is not None:
            raise EngineError(finished.error)
        answers[finished.prompt] = finished.tokens
    return answers


@torch.inference_mode()
def read_long(scale: Scale, checkpoint: str) -> LongRead:
    """One prompt of the longest kind under the engine's own limits, halved as the engine does.

    Raises:
        EngineError: it does not fit under the smallest limits; says after how many tokens.
    """
    decoder = random_decoder(
        scale.models[checkpoint], device=scale.device, dtype=getattr(torch, scale.dtype)
    )
    tokens = scale.long[-1]
    prompts = draws(decoder, 1, tokens)
    limits: Limits | None = limits_for(decoder, tokens)
    read_before_it_ended = 0
    while limits is not None:
        forget()
        began = time.perf_counter()
        try:
            read_prompts(decoder, prompts, limits)
        except DoesNotFitError as error:
            read_before_it_ended = error.tokens
            limits = limits.halved
            continue
        wait(scale.device)
        seconds = time.perf_counter() - began
        return LongRead(
            checkpoint=checkpoint,
            tokens=tokens,
            seconds=seconds,
            peak_bytes=peak_bytes(scale.device),
        )
    raise EngineError(
        f"{tokens} tokens do not fit: memory ran out after {read_before_it_ended}, however small "
        "the pieces"
    )
