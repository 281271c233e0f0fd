"""What one cell costs on one device: tokens, FLOPs, memory, seconds.

Every answer is taken to be as long as its task allows, an upper bound.
"""

import math
from collections.abc import Iterator
from functools import cache
from typing import Literal, NamedTuple

from needlework.cost.architectures import Weights, architecture
from needlework.cost.beside import expected_group
from needlework.cost.devices import Device, Rates, assumed, home
from needlework.cost.formulas import Decoder, costs
from needlework.cost.room import (
    GROUP,
    LEAST_BESIDE,
    SHARE_OF_FREE,
    Cell,
    Prefix,
    Room,
    room_for,
)
from needlework.cost.starting import starting_seconds
from needlework.cost.work import Work, expected
from needlework.tasks.specs import Spec

WEIGHT_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
OCCUPANCY = 1 - 1 / (2 * GROUP)
"""Rows of a decode batch in use on average: it is filled up when one in `GROUP` is free."""
PROCESS = {"cpu": 560 << 20, "cuda": 3 << 30}
"""Python, torch and tokenizer in main memory; with a CUDA context and its libraries assumed."""
CONTEXT = 1 << 30
"""GPU memory of a CUDA context, assumed."""

SAFETY = 2.0
"""Reserved time over estimated time."""
ROOM = 1.25
"""Reserved memory over estimated memory."""
LEAST_MINUTES = 10
LEAST_MEGABYTES = 2000
MEGABYTE = 1 << 20


class CellCost(NamedTuple):
    """What a cell asks a scheduler for: the estimate with its safety factors."""

    runtime_minutes: int
    memory_mb: int
    gpu_memory_mb: int
    """0 for a cell that is meant for the CPU."""


UNKNOWN = CellCost(runtime_minutes=240, memory_mb=32_000, gpu_memory_mb=80_000)
"""What is asked for where nothing describes the model; the log of `plan` says for which."""


Bound = Literal["compute", "bandwidth", "launches", "start"]
"""What limits the speed: matrix products, what is read from memory, or what each step and each job
takes beside both."""


class Writing(NamedTuple):
    """Seconds of writing, by what limits the steps; an answer's steps have one limit all along."""

    compute: float = 0.0
    bandwidth: float = 0.0
    launches: float = 0.0

    @property
    def seconds(self) -> float:
        """All of them."""
        return sum(self)


class Estimate(NamedTuple):
    """What one cell costs; times in seconds, memory in bytes."""

    prompts: int
    prompt_tokens: int
    shared_tokens: int
    answer_tokens: int
    flops: float
    rows: int
    """Answers written together."""
    reading: float
    """Bound by compute."""
    writing: Writing
    starting: float
    memory: int
    """Peak on the device."""
    host_memory: int
    """Peak in main memory, the device's part included where it is the CPU."""

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.reading + self.writing.seconds + self.starting

    @property
    def bound(self) -> Bound:
        """What most of the time is spent on."""
        spent: dict[Bound, float] = {
            "compute": self.reading + self.writing.compute,
            "bandwidth": self.writing.bandwidth,
            "launches": self.writing.launches,
            "start": self.starting,
        }
        return max(spent, key=spent.__getitem__)


@cache
def reserved(
    weights: Weights, tasks: tuple[Spec, ...], *, samples: int, length: int, sharing: bool = True
) -> CellCost:
    """What to ask a scheduler for, on the device that the model is meant for.

    `sharing`: whether prompts begin alike.
    """
    device = home(weights.dtype)
    found = estimate(weights, tasks, samples=samples, length=length, device=device, sharing=sharing)
    if found is None:
        return UNKNOWN
    # A job cannot ask for more than the device has; the engine halves its batches there.
    gpu_memory = min(ROOM * found.memory, device.memory) if device.kind == "cuda" else 0
    return CellCost(
        runtime_minutes=max(LEAST_MINUTES, math.ceil(SAFETY * found.seconds / 60)),
        memory_mb=max(LEAST_MEGABYTES, math.ceil(ROOM * found.host_memory / MEGABYTE)),
        gpu_memory_mb=math.ceil(gpu_memory / MEGABYTE),
    )


@cache
def estimate(
    weights: Weights,
    tasks: tuple[Spec, ...],
    *,
    samples: int,
    length: int,
    device: Device,
    sharing: bool = True,
) -> Estimate | None:
    """The cost of one cell; None where nothing describes the model.

    `sharing`: whether prompts begin alike.
    """
    spec = architecture(weights)
    if spec is None:
        return None
    shares = sharing and not spec.one_shot
    work = expected(tasks, samples=samples, length=length, sharing=shares)
    rates = assumed(device, spec, weights.dtype)
    return of_work(costs(spec), list(work), dtype=weights.dtype, device=device, rates=rates)


def of_work(
    decoder: Decoder, work: list[Work], *, dtype: str, device: Device, rates: Rates
) -> Estimate:
    """The cost of reading and answering all this."""
    width = WEIGHT_BYTES[dtype]
    weights = decoder.parameters * width
    samples = sum(each.samples for each in work)
    cell = _cell(decoder, work, dtype)
    room = _room(cell, weights, device)
    rows = min(room.rows, samples)
    kept = room.states if any(each.shared for each in work) else 0
    slots = min(room.slots, rows + kept)
    on_gpu = device.kind == "cuda"
    batches = [Batch(each, min(rows, slots - kept) * OCCUPANCY) for each in work]
    if on_gpu and width < WEIGHT_BYTES["float32"] and room.slots >= LEAST_BESIDE:
        batches = list(_beside(batches, cell, weights, device))
    read = sum(_read_flops(decoder, each) for each in work)
    written = sum(_written_flops(decoder, each) for each in work)
    memory = weights + cell.peak_bytes(room, slots, device.kind)
    process = PROCESS[device.kind]
    asked = sum(each.asked for each in work)
    return Estimate(
        prompts=samples,
        prompt_tokens=asked,
        shared_tokens=sum(each.shared for each in work),
        answer_tokens=sum(each.written for each in work),
        flops=read + written,
        rows=rows,
        reading=read / rates.flops,
        writing=_writing(decoder, batches, width, rates),
        starting=starting_seconds(device, weights=weights, prompt_tokens=asked),
        memory=memory + (CONTEXT if on_gpu else process),
        # Weights pass through the page cache on their way to a GPU.
        host_memory=process + (weights if on_gpu else memory),
    )


def _read_flops(decoder: Decoder, work: Work) -> float:
    """The common beginning once, the rest of every prompt, the logits at its end."""
    begun = decoder.read_flops(0, work.shared_tokens)
    each = decoder.read_flops(work.shared_tokens, work.prompt_tokens) + decoder.logit_flops
    return begun + work.samples * each


def _written_flops(decoder: Decoder, work: Work) -> float:
    middle = work.prompt_tokens + work.answer_tokens / 2
    return work.written * decoder.write_flops(middle)


class Batch(NamedTuple):
    """How the answers of a task are written."""

    work: Work
    rows: float
    """In use on average."""
    prefix: int = 0
    """Tokens whose keys all rows look at where they lie."""


def _beside(batches: list[Batch], cell: Cell, weights: int, device: Device) -> Iterator[Batch]:
    """The same where a prefix is worth it: prompts that are answered beside one.

    All answers of a group are equally long, so that places stay empty only at its end.
    """
    groups = [expected_group(cell.decoder, each.work, cell.width) for each in batches]
    stored = max(each.prefix for each in groups)
    for batch, (prefix, prompts) in zip(batches, groups, strict=True):
        if not prefix:
            yield batch
            continue
        work, lies = batch.work, Prefix(prefix, stored)
        longest = math.ceil(work.prompt_tokens) + work.answer_tokens
        own = cell._replace(longest=longest, answer=work.answer_tokens, prefix=lies)
        rows = min(_room(own, weights, device).rows, prompts)
        yield Batch(work, prompts / math.ceil(prompts / rows), prefix)


def _writing(decoder: Decoder, batches: list[Batch], width: int, rates: Rates) -> Writing:
    """Steps of a batch: every weight is read once a step, every state in use read and written."""
    compute = bandwidth = launches = 0.0
    for work, rows, prefix in batches:
        in_use = max(1.0, rows)
        tokens = round(work.prompt_tokens + work.answer_tokens / 2)
        steps = work.written / in_use
        shared = width * prefix * decoder.growing_elements
        states = 2 * decoder.fixed_bytes(width) + decoder.key_bytes(tokens, width) - shared
        moved = decoder.step_bytes(width) + shared + in_use * states
        moving = moved / rates.bandwidth
        computing = in_use * decoder.write_flops(tokens) / rates.flops
        launches += steps * rates.step
        if computing > moving:
            compute += steps * computing
        else:
            bandwidth += steps * moving
    return Writing(compute, bandwidth, launches)


def _cell(decoder: Decoder, work: list[Work], dtype: str) -> Cell:
    """The slots of a cell have room for its longest prompt and its longest answer."""
    answer = max(each.answer_tokens for each in work)
    longest = math.ceil(max(each.prompt_tokens for each in work)) + answer
    return Cell(decoder, WEIGHT_BYTES[dtype], longest, answer, dtype == "float32")


@cache
def _room(cell: Cell, weights: int, device: Device) -> Room:
    """What fits under the engine's rule for memory."""
    free = max(0, device.memory - weights - CONTEXT) * SHARE_OF_FREE[device.kind]
    return room_for(cell, int(free), device.kind)
