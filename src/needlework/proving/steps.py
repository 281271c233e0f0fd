"""What is proven, most important first, and at which sizes. No torch."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from needlework.cost.published import CHECKPOINTS
from needlework.models.config import (
    RGLRU,
    SSD,
    Attention,
    DecoderConfig,
    MixerConfig,
    TimeMix,
)
from needlework.nano.architectures import LAYERS, nano_config

Device = Literal["cpu", "cuda"]
StepKind = Literal[
    "facts", "build", "kernels", "peaks", "speed", "long", "batches", "read", "replayed", "beside"
]

NANO = "resources/nano"
NANO_VOCABULARY = 512


class Scale(NamedTuple):
    """The sizes of all steps."""

    device: Device
    dtype: Literal["float32", "bfloat16"]
    dtypes: tuple[str, ...]
    """In which layers are checked."""
    models: dict[str, DecoderConfig]
    tokens: tuple[int, ...]
    """Of the calls that are checked: one, around 64, no multiple of a chunk, many."""
    matrix: int
    """Rows and columns of the product that shows the peak."""
    copied: int
    """Bytes of the copy that shows the bandwidth."""
    lengths: tuple[int, ...]
    """Of prompts whose reading is timed."""
    call: int
    """Tokens of one forward call."""
    rows: tuple[int, ...]
    """Rows that write answers together; the plan's rates come from the first and the last."""
    context: int
    """Tokens before an answer."""
    long: tuple[int, ...]
    """Tokens of one call of one layer, compared with reading in pieces."""
    piece: int
    most: int
    """Tokens up to which the longest context is tried."""
    prompts: int
    """Whose answers are compared under several batch sizes."""
    answer: int
    """Tokens of such an answer."""
    batches: tuple[int, ...]


FULL = Scale(
    device="cuda",
    dtype="bfloat16",
    dtypes=("float32", "bfloat16"),
    models=CHECKPOINTS,
    tokens=(1, 63, 64, 65, 300, 2048),
    matrix=8192,
    copied=1 << 30,
    lengths=(1024, 2048, 4096, 8192, 16384),
    call=32768,
    rows=(1, 32, 128),
    context=1024,
    long=(65_536, 131_072),
    piece=4096,
    most=1 << 20,
    prompts=32,
    answer=16,
    batches=(8, 32),
)
TOY = Scale(
    device="cpu",
    dtype="float32",
    dtypes=("float32",),
    models={f"{NANO}/{name}": nano_config(name, NANO_VOCABULARY) for name in LAYERS},
    tokens=(1, 15, 16, 17, 70),
    matrix=512,
    copied=1 << 24,
    lengths=(64, 256),
    call=1024,
    rows=(1, 4, 16),
    context=64,
    long=(256, 512),
    piece=100,
    most=4096,
    prompts=4,
    answer=4,
    batches=(2, 4),
)
SCALES: dict[Device, Scale] = {scale.device: scale for scale in (FULL, TOY)}
"""By device: published sizes on a GPU, those of the nano models on a CPU."""


class Step(NamedTuple):
    """One thing to find out."""

    name: str
    """Also of its file."""
    title: str
    kind: StepKind
    subject: str = ""
    """A layer or a checkpoint."""
    seconds: float = 0.0
    """What it takes on an A100, roughly; a slower device takes longer in proportion."""
    beside: bool = False
    """Whether it may run beside others: it compiles more than it computes, and times nothing."""


FACTS = Step("facts", "device", "facts", seconds=15)
BUILD = Step("build", "causal-conv1d", "build", seconds=150, beside=True)
LAST_WORDS = "needlework prove: "
"""Before the one line of an error, at the end of a worker's log."""
REFERENCE_FLOPS = 250e12
"""The peak of the device on which steps take their seconds."""
ON_A_CPU = 0.02
"""What toy sizes take of those seconds."""


def steps(scale: Scale, *, build: bool) -> list[Step]:
    """All steps, most important first."""
    return [FACTS, *([BUILD] if build else []), *_after(scale)]


def _after(scale: Scale) -> Iterator[Step]:
    """The convolution is checked last of its group, because it may have to be built first."""
    kinds = sorted(layers(scale), key=lambda name: name == CONVOLVED)
    for layer in kinds:
        beside = scale.device == "cuda" and layer != CONVOLVED
        yield _step("kernels", layer, f"kernels, {layer}", 90, beside=beside)
    yield Step("peaks", "peaks", "peaks", seconds=5)
    shapes = distinct(scale)
    for checkpoint in shapes:
        yield _step("speed", checkpoint, f"speed, {short(checkpoint)}", 40)
    for checkpoint in shapes:
        yield _step("replayed", checkpoint, f"recorded steps, {short(checkpoint)}", 20)
    for checkpoint in shapes:
        if scale.models[checkpoint].grows:
            yield _step("beside", checkpoint, f"rows beside a prefix, {short(checkpoint)}", 20)
    for layer in kinds:
        yield _step("long", layer, f"long, {layer}", 15)
    for checkpoint in shapes:
        yield _step("batches", checkpoint, f"batches, {short(checkpoint)}", 20)
    for checkpoint in shapes:
        yield _step("read", checkpoint, f"long prompt, {short(checkpoint)}", 20)


def _step(
    kind: StepKind, subject: str, title: str, seconds: float, *, beside: bool = False
) -> Step:
    name = f"{kind}-{short(subject).replace(' ', '-')}"
    return Step(name, title, kind, subject, seconds, beside)


def short(checkpoint: str) -> str:
    """A hub id without its owner."""
    return checkpoint.rpartition("/")[2]


def distinct(scale: Scale) -> dict[str, tuple[str, ...]]:
    """The first checkpoint of every shape, with all checkpoints that have it."""
    shapes: dict[DecoderConfig, list[str]] = {}
    for checkpoint, spec in scale.models.items():
        shapes.setdefault(spec, []).append(checkpoint)
    return {names[0]: tuple(names) for names in shapes.values()}


CONVOLVED = "convolved attention"


def layers(scale: Scale) -> dict[str, tuple[int, MixerConfig]]:
    """One layer of every kind that has a memory and kernels, with the width of its model."""
    found: dict[str, tuple[int, MixerConfig]] = {}
    for spec in scale.models.values():
        for layer in spec.layers:
            if (name := _kind(layer)) is not None:
                found.setdefault(name, (spec.width, layer))
    return found


def _kind(layer: MixerConfig) -> str | None:
    if isinstance(layer, Attention):
        if layer.convolution:
            return CONVOLVED
        return "windowed attention" if layer.window else "attention"
    return {SSD: "selective scan", RGLRU: "diagonal scan", TimeMix: "time mixing"}.get(type(layer))
