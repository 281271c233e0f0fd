"""How fast a decoder reads and writes here, through the engine's own functions.

Knows decoders, clocks and memory; does not know which are measured or how that is shown. Not yet
run on a GPU.
"""

# Shapes: R rows, D width.
import gc
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from needlework.cost.formulas import costs
from needlework.engine.decode import decode
from needlework.engine.interruption import Interruption
from needlework.engine.memory import DoesNotFitError, limits_for, out_of_memory_after
from needlework.engine.prefill import Ready, read
from needlework.engine.prefixes import Tokens
from needlework.engine.prove.checking import chosen_for
from needlework.engine.prove.making import random_decoder
from needlework.engine.prove.records import (
    AnswerSpeed,
    BatchAnswers,
    LongRead,
    MeasuredRates,
    Peaks,
    PromptSpeed,
    Speed,
)
from needlework.engine.prove.steps import Scale, distinct
from needlework.engine.running import Engine, Question
from needlework.engine.schedule import Limits
from needlework.engine.stopping import Answer, Decoding, Pieces, StopRule
from needlework.errors import EngineError
from needlework.models.attention import AttentionState
from needlework.models.decoder import Decoder
from needlework.models.state import DecoderState
from needlework.tokenizers import Blank, Cuts

REPEATS = 3
LONG_ENOUGH = 1.5
"""Seconds after which a call is not repeated."""
FEW, MANY = 4, 20
"""Tokens of two answers, of whose seconds the difference is what steps take."""
GREEDY = Decoding(decided=False, end_tokens=False)


class Numbers:
    """A tokenizer whose words are ids: answers of random weights have no text."""

    identity = "numbers"
    begin: tuple[int, ...] = ()
    end: frozenset[int] = frozenset()
    vocabulary = 0
    blank: Blank | None = None
    cuts: Cuts | None = None

    def encode(self, text: str) -> list[int]:
        """The numbers of a text."""
        return [int(word) for word in text.split()]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Those of every text."""
        return [self.encode(text) for text in texts]

    def decode(self, tokens: Sequence[int]) -> str:
        """The numbers, as text."""
        return " ".join(map(str, tokens))


def measure_peaks(scale: Scale) -> Peaks:
    """What one large matrix product and one large copy reach."""
    dtype, size = getattr(torch, scale.dtype), scale.matrix
    left = torch.randn(size, size, device=scale.device).to(dtype)
    product = timed(lambda: left @ left, scale.device)
    source = torch.zeros(scale.copied, dtype=torch.uint8, device=scale.device)
    target = torch.empty_like(source)
    copying = timed(lambda: target.copy_(source), scale.device)
    return Peaks(
        dtype=scale.dtype, flops=2 * size**3 / product, bandwidth=2 * scale.copied / copying
    )


@torch.inference_mode()
def measure_speed(scale: Scale, checkpoint: str) -> Speed:
    """Reading, writing and the longest context of one decoder."""
    spec = scale.models[checkpoint]
    decoder = random_decoder(spec, scale.device, getattr(torch, scale.dtype))
    reading = [found for each in scale.lengths if (found := _prompts(decoder, scale, each))]
    steps = {rows: _step_seconds(decoder, scale, rows) for rows in scale.rows}
    longest = _longest(decoder, scale)
    chosen: dict[str, str] = {}
    for layer in set(spec.layers):
        chosen |= chosen_for(layer, decoder.embedding.weight.device, getattr(torch, scale.dtype))
    return Speed(
        checkpoints=distinct(scale)[checkpoint],
        dtype=scale.dtype,
        parameters=costs(spec).parameters,
        kernels=chosen,
        context=scale.context,
        reading=tuple(reading),
        writing=tuple(
            AnswerSpeed(rows=rows, tokens_per_second=seconds and rows / seconds, peak_bytes=peak)
            for rows, (seconds, peak) in steps.items()
        ),
        longest=longest,
        at_least=longest is not None and longest + scale.piece > scale.most,
        rates=_rates(decoder, scale, reading, {rows: each for rows, (each, _) in steps.items()}),
    )


def _prompts(decoder: Decoder, scale: Scale, length: int) -> PromptSpeed | None:
    """Prompts of one length in calls as large as the engine's; None where not even one fits."""
    rows = max(1, scale.call // length)
    while rows:
        prompts = _draws(decoder, rows, length)
        limits = Limits(tokens=rows * length, chunk=length, rows=rows, states=1)
        _forget()
        try:
            seconds = timed(partial(_read, decoder, prompts, limits), scale.device)
        except DoesNotFitError:
            rows //= 2
            continue
        counted = costs(decoder.config)
        flops = rows * (counted.read_flops(0, length) + counted.logit_flops)
        return PromptSpeed(
            length=length,
            rows=rows,
            tokens_per_second=rows * length / seconds,
            flops=flops / seconds,
            peak_bytes=_peak(scale),
        )
    return None


def _read(decoder: Decoder, prompts: list[Tokens], limits: Limits) -> tuple[Tensor, DecoderState]:
    """Prompts of one length to their end: what the head reads there, and the states."""
    reading = read(decoder, prompts, decoder.init_state(len(prompts)), limits=limits)
    _, hidden_RD, state = next(reading)
    decoder.logits(hidden_RD)
    return hidden_RD, state


def _step_seconds(decoder: Decoder, scale: Scale, rows: int) -> tuple[float | None, int | None]:
    """Seconds of one more token in every row, and the memory at its peak; None if it is too much.

    Two answers of different length are written: their difference is free of what begins one.
    """
    limits = Limits(tokens=scale.call, chunk=scale.call, rows=1, states=1)
    _forget()
    try:
        read_once = _read(decoder, _draws(decoder, 1, scale.context), limits)
        taken = [
            timed(partial(_write, decoder, *read_once, rows, count, scale.context), scale.device)
            for count in (FEW, MANY)
        ]
    except DoesNotFitError:
        return None, None
    return max(taken[1] - taken[0], 1e-9) / (MANY - FEW), _peak(scale)


def _write(
    decoder: Decoder, hidden_1D: Tensor, state: DecoderState, rows: int, count: int, context: int
) -> None:
    """Answers of `count` tokens in every row, greedily, all to the same prompt."""
    rule = StopRule(limit=count, outputs=(), metric="all", decided=False)
    answers = [Answer(rule, Pieces(Numbers()), context) for _ in range(rows)]
    with out_of_memory_after(context):
        # Put side by side as the engine does, with room to grow; nobody else holds on to it.
        together = type(state).stack([state] * rows)
    ready = Ready(tuple(range(rows)), hidden_1D.expand(rows, -1), together)
    del together
    writing = decode(
        decoder,
        iter([ready]),
        answers,
        _likeliest,
        rows=rows,
        vocabulary=decoder.config.vocabulary,
        interruption=Interruption(),
    )
    del ready
    assert sum(1 for _ in writing) == rows


def _likeliest(logits_RV: Tensor, prompts: Sequence[int]) -> list[int]:
    del prompts
    tokens: list[int] = logits_RV.argmax(dim=-1).tolist()
    return tokens


def _longest(decoder: Decoder, scale: Scale) -> int | None:
    """Tokens of one row after which the engine can still read on; None where nothing grows.

    Caches of that length are made of zeros, which costs no reading, and then read on from. On a
    CPU, whose memory has no hard end, trying ends soon.
    """
    counted = costs(decoder.config)
    width = decoder.embedding.weight.element_size()
    if counted.key_bytes(2 << 20, width) == counted.key_bytes(1 << 20, width):
        return None
    fits, too_much = 0, scale.most // scale.piece + 1
    while too_much - fits > 1:
        middle = (fits + too_much) // 2
        if _reads_on(decoder, middle * scale.piece, scale.piece):
            fits = middle
        else:
            too_much = middle
    return fits * scale.piece


def _reads_on(decoder: Decoder, tokens: int, piece: int) -> bool:
    _forget()
    try:
        with out_of_memory_after(tokens):
            state = _filled(decoder, tokens)
            ids = torch.zeros(1, piece, dtype=torch.long, device=decoder.embedding.weight.device)
            decoder.read(ids, state)
    except DoesNotFitError:
        return False
    return True


def _filled(decoder: Decoder, tokens: int) -> DecoderState:
    """A state of one row whose caches hold this many columns; a window keeps what it can see."""
    layers = []
    for layer in decoder.init_state(1).layers:
        if isinstance(layer, AttentionState):
            cache = layer.cache
            _, heads, _, width = cache.buffer.keys_BHSP.shape
            zeros_BHSP = cache.buffer.keys_BHSP.new_zeros(1, heads, tokens, width)
            cache = cache.append(zeros_BHSP, zeros_BHSP, None, None)
            layer = AttentionState(cache, layer.tail)
        layers.append(layer)
    return DecoderState(tuple(layers))


def _rates(
    decoder: Decoder,
    scale: Scale,
    reading: Sequence[PromptSpeed],
    steps: dict[int, float | None],
) -> MeasuredRates | None:
    """The rates of the cost model: two batch sizes tell what a step costs from what rows cost."""
    fewest, most = min(steps), max(steps)
    few, many = steps[fewest], steps[most]
    if not reading or few is None or many is None:
        return None
    counted, width = costs(decoder.config), decoder.embedding.weight.element_size()
    state = 2 * counted.fixed_bytes(width) + counted.key_bytes(scale.context, width)
    each = max(many - few, 1e-9) / (most - fewest)
    bandwidth = state / each
    step = max(0.0, few - (counted.step_bytes(width) + state) / bandwidth)
    return MeasuredRates(flops=reading[len(reading) // 2].flops, bandwidth=bandwidth, step=step)


@torch.inference_mode()
def compare_batches(scale: Scale, checkpoint: str) -> BatchAnswers:
    """The engine's greedy answers one row at a time, and in batches.

    Random weights leave the likeliest tokens closer to each other than trained ones do.

    Raises:
        EngineError: an answer failed.
    """
    decoder = random_decoder(scale.models[checkpoint], scale.device, getattr(torch, scale.dtype))
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
        for number, tokens in enumerate(_draws(decoder, scale.prompts, scale.context))
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
    decoder = random_decoder(scale.models[checkpoint], scale.device, getattr(torch, scale.dtype))
    tokens = scale.long[-1]
    prompts = _draws(decoder, 1, tokens)
    limits: Limits | None = limits_for(decoder, tokens)
    read_before_it_ended = 0
    while limits is not None:
        _forget()
        began = time.perf_counter()
        try:
            _read(decoder, prompts, limits)
        except DoesNotFitError as error:
            read_before_it_ended = error.tokens
            limits = limits.halved
            continue
        _wait(scale.device)
        seconds = time.perf_counter() - began
        return LongRead(
            checkpoint=checkpoint, tokens=tokens, seconds=seconds, peak_bytes=_peak(scale)
        )
    raise EngineError(
        f"{tokens} tokens do not fit: memory ran out after {read_before_it_ended}, however small "
        "the pieces"
    )


def timed(call: Callable[[], object], device: str) -> float:
    """Seconds of a call: the median of a few after one that warms up.

    On a CPU those of this process, which other programs do not lengthen, with one thread.
    """
    clock = time.perf_counter if device == "cuda" else time.process_time
    taken: list[float] = []
    call()
    _wait(device)
    while len(taken) < REPEATS and sum(taken) < LONG_ENOUGH:
        began = clock()
        call()
        _wait(device)
        taken.append(clock() - began)
    return statistics.median(taken)


def _wait(device: str) -> None:
    """Until everything is computed that was asked for."""
    if device == "cuda":
        torch.cuda.synchronize()


def _forget() -> None:
    """Return free memory to the device, and count its peak anew."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _peak(scale: Scale) -> int | None:
    return torch.cuda.max_memory_allocated() if scale.device == "cuda" else None


def _draws(decoder: Decoder, rows: int, length: int) -> list[Tokens]:
    """Prompts of random tokens, always the same."""
    draws = np.random.default_rng(0)
    vocabulary = decoder.config.vocabulary
    return [draws.integers(0, vocabulary, length, dtype=np.int32) for _ in range(rows)]
