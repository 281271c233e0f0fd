"""How fast a decoder reads and writes here, through the engine's own functions.

Not yet run on a GPU.
"""

# Shapes: R rows, D width, V vocabulary rows of the head.
from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from needlework.cost.formulas import costs
from needlework.engine.decode import decode, unseen_tokens
from needlework.engine.interruption import Interruption
from needlework.engine.memory import DoesNotFitError, out_of_memory_after
from needlework.engine.prefill import Ready
from needlework.engine.schedule import Limits
from needlework.engine.slots import Slots
from needlework.engine.stopping import Answer, Pieces, StopRule
from needlework.models.attention import AttentionState
from needlework.models.decoder import Decoder
from needlework.models.random_weights import random_decoder
from needlework.models.state import DecoderState
from needlework.proving.checking import chosen_for
from needlework.proving.clocks import Numbers, draws, forget, peak_bytes, read_prompts, timed
from needlework.proving.records import AnswerSpeed, MeasuredRates, Peaks, PromptSpeed, Speed
from needlework.proving.steps import Scale, distinct

FEW, MANY = 4, 20
"""Tokens of two answers, of whose seconds the difference is what steps take."""


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
    decoder = random_decoder(spec, device=scale.device, dtype=getattr(torch, scale.dtype))
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
        prompts = draws(decoder, rows, length)
        limits = Limits(tokens=rows * length, chunk=length, rows=rows, states=1)
        forget()
        try:
            seconds = timed(partial(read_prompts, decoder, prompts, limits), scale.device)
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
            peak_bytes=peak_bytes(scale.device),
        )
    return None


def _step_seconds(decoder: Decoder, scale: Scale, rows: int) -> tuple[float | None, int | None]:
    """Seconds of one more token in every row, and the memory at its peak; None if it is too much.

    Two answers of different length are written: their difference is free of what begins one.
    """
    limits = Limits(tokens=scale.call, chunk=scale.call, rows=1, states=1)
    forget()
    try:
        read_once = read_prompts(decoder, draws(decoder, 1, scale.context), limits)
        taken = [
            timed(partial(_write, decoder, *read_once, rows, count, scale.context), scale.device)
            for count in (FEW, MANY)
        ]
    except DoesNotFitError:
        return None, None
    return max(taken[1] - taken[0], 1e-9) / (MANY - FEW), peak_bytes(scale.device)


def _write(
    decoder: Decoder, hidden_1D: Tensor, state: DecoderState, rows: int, count: int, context: int
) -> None:
    """Answers of `count` tokens in every row, greedily, all to the same prompt."""
    rule = StopRule(limit=count, outputs=(), metric="all", decided=False)
    answers = [Answer(rule, Pieces(Numbers()), context) for _ in range(rows)]
    tokens = count + unseen_tokens(decoder)
    slots = Slots(decoder, answers=rows, kept=0, total=rows, prompt=context, answer=tokens)

    def ready() -> Iterator[Ready]:
        with out_of_memory_after(context):
            slots.storage.put(0, slots.begin([state] * rows))
        yield Ready(tuple(range(rows)), hidden_1D.expand(rows, -1), 0)

    writing = decode(
        decoder,
        ready(),
        answers,
        _Likeliest(),
        slots=slots,
        vocabulary=decoder.config.vocabulary,
        interruption=Interruption(),
    )
    assert sum(1 for _ in writing) == rows


class _Likeliest:
    """The likeliest token, as `engine.choosing` takes it in half precision."""

    def __call__(self, logits_RV: Tensor, prompts: Sequence[int]) -> list[int]:
        tokens: list[int] = self.unseen(logits_RV, prompts).tolist()
        return tokens

    def unseen(self, logits_RV: Tensor, prompts: Sequence[int]) -> Tensor:
        del prompts
        return logits_RV.argmax(dim=-1)


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
    forget()
    try:
        with out_of_memory_after(tokens):
            state = _filled(decoder, tokens, piece)
            ids = torch.zeros(1, piece, dtype=torch.long, device=decoder.embedding.weight.device)
            decoder.read(ids, state)
    except DoesNotFitError:
        return False
    return True


def _filled(decoder: Decoder, tokens: int, piece: int) -> DecoderState:
    """A row in a slot of its own whose caches hold this many columns, with room for a piece.

    A window keeps what it can see.
    """
    slots = decoder.slots(1, tokens + piece, 0)
    layers = []
    for layer in slots.begin(0, [decoder.init_state(1)]).layers:
        if isinstance(layer, AttentionState):
            cache = layer.cache.with_room(tokens).written(tokens, None)
            layer = AttentionState(cache, layer.tail)
        layers.append(layer)
    return DecoderState(tuple(layers))


def _rates(
    decoder: Decoder,
    scale: Scale,
    reading: Sequence[PromptSpeed],
    steps: dict[int, float | None],
) -> MeasuredRates | None:
    """The rates of the cost model: two batch sizes separate the cost of steps and of rows."""
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
