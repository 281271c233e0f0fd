"""How fast this machine reads and writes with a decoder: random weights, real forward calls.

Knows decoders and clocks; does not know checkpoints, prompts or studies.
"""

import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from needlework.cost.architectures import Weights, architecture
from needlework.cost.devices import DEVICES, Device, Rates, of_gpu
from needlework.cost.formulas import costs
from needlework.engine.processor import prepare_processor
from needlework.errors import EngineError
from needlework.models.config import DecoderConfig
from needlework.models.decoder import Decoder
from needlework.models.state import DecoderState

if TYPE_CHECKING:
    from needlework.plan import Plan

ROWS = {"cpu": (16, 128), "cuda": (8, 4096)}
"""Rows of a call that reads, and tokens of each: the shape of the engine's calls."""
WRITERS = {"cpu": 48, "cuda": 64}
"""Rows of a step that writes."""
REPEATS = 5
MATRIX = 8192
"""Rows and columns of the product that shows what the device can do."""


def calibrate(plan: "Plan", name: str | None) -> tuple[Device, dict[str, Rates], list[str]]:
    """This machine's device, the rates of a study's models on it, and what was measured, in words.

    On a CPU models in half precision are left out, being slow there and often too large.

    Raises:
        EngineError: `name` is another device than this machine has, or its GPU is not in the table.
    """
    device = _present(name)
    half_too = device.kind == "cuda"
    dtype, size = ("bfloat16", MATRIX) if half_too else ("float32", 1024)
    if not half_too:
        prepare_processor(1)
    peak = matrix_flops(dtype=dtype, device=device.kind, size=size)
    moved = copy_bandwidth(device=device.kind)
    notes = [f"measured here: {peak / 1e12:.3f} TFLOP/s in {dtype}, {moved / 1e9:.1f} GB/s copied"]
    rates: dict[str, Rates] = {}
    known: dict[Weights, Rates] = {}
    for model, entry in plan.models.items():
        weights = Weights.of(entry)
        spec = architecture(weights)
        if spec is None or (entry.dtype != "float32" and not half_too):
            continue
        if weights not in known:
            known[weights] = probe(spec, dtype=entry.dtype, device=device.kind)
        rates[model] = known[weights]
        notes.append(f"measured here: {model} {_shown(rates[model])}")
    return device, rates, notes


def _shown(rates: Rates) -> str:
    return (
        f"reads at {rates.flops / 1e9:.3g} GFLOP/s, writes at {rates.bandwidth / 1e9:.3g} GB/s "
        f"with {1000 * rates.step:.2g} ms a step"
    )


def _present(name: str | None) -> Device:
    """The entry of the table that is this machine's device."""
    if not torch.cuda.is_available():
        if name not in (None, "cpu"):
            raise EngineError(f"--calibrate measures this machine, which has no {name}; drop one")
        return DEVICES["cpu"]
    title, memory = torch.cuda.get_device_name(), torch.cuda.mem_get_info()[1]
    if (device := of_gpu(title, memory)) is not None:
        return device
    raise EngineError(
        f"--calibrate: this GPU ({title}, {memory / 1e9:.0f} GB) is not in the table of devices; "
        "add its figures to src/needlework/cost/devices.py"
    )


def probe(spec: DecoderConfig, *, dtype: str, device: str) -> Rates:
    """The rates of a decoder of this shape: medians of real calls, the first ones not counted."""
    decoder = _random(spec, dtype, device)
    counted = costs(spec)
    rows, tokens = ROWS[device]
    reading = _seconds(lambda: _read(decoder, rows, tokens), device)
    flops = rows * counted.read_flops(0, tokens) / reading
    few = _step_seconds(decoder, 1, tokens, device)
    many = _step_seconds(decoder, WRITERS[device], tokens, device)
    width = decoder.embedding.weight.element_size()
    state = 2 * counted.fixed_bytes(width) + counted.key_bytes(tokens, width)
    # Two batch sizes tell what a step costs from what its rows cost.
    each = max(many - few, 1e-9) / (WRITERS[device] - 1)
    bandwidth = state / each
    step = max(0.0, few - (counted.step_bytes(width) + state) / bandwidth)
    return Rates(flops, bandwidth, step)


def matrix_flops(*, dtype: str, device: str, size: int = MATRIX) -> float:
    """FLOP/s of one large matrix product: what a share of the peak is a share of."""
    left = torch.randn(size, size, device=device).to(getattr(torch, dtype))
    return 2 * size**3 / _seconds(lambda: left @ left, device)


def copy_bandwidth(*, device: str, size: int = 1 << 28) -> float:
    """Bytes a second that a large copy reads and writes."""
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size / _seconds(lambda: target.copy_(source), device)


def _random(spec: DecoderConfig, dtype: str, device: str) -> Decoder:
    with torch.device("meta"):
        decoder = Decoder(spec)
    decoder = decoder.to(getattr(torch, dtype)).to_empty(device=device)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.normal_(std=0.02)
    return decoder.eval().requires_grad_(False)


@torch.inference_mode()
def _read(decoder: Decoder, rows: int, tokens: int) -> DecoderState:
    ids = torch.zeros(rows, tokens, dtype=torch.long, device=decoder.embedding.weight.device)
    _, state = decoder.read(ids, decoder.init_state(rows))
    return state


def _step_seconds(decoder: Decoder, rows: int, tokens: int, device: str) -> float:
    """One token more in each of `rows` rows that have read `tokens`."""
    state = _read(decoder, rows, tokens)
    ids = torch.zeros(rows, 1, dtype=torch.long, device=decoder.embedding.weight.device)

    @torch.inference_mode()
    def write() -> None:
        hidden_RD, _ = decoder.read(ids, state)
        decoder.logits(hidden_RD)

    return _seconds(write, device)


def _seconds(call: Callable[[], object], device: str) -> float:
    """The median of some calls, after two that warm up.

    On a CPU those of this process, which other programs do not lengthen, with one thread.
    """
    clock = time.perf_counter if device == "cuda" else time.process_time
    taken = []
    for repeat in range(REPEATS + 2):
        began = clock()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        if repeat >= 2:
            taken.append(clock() - began)
    return statistics.median(taken)
