"""The devices a study can be costed for: what their makers state, and what share of it we assume.

Efficiencies are **assumed** until `needlework prove` has measured them on a machine, for
`needlework plan --measured`.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from needlework.cost.launches import replayed_seconds
from needlework.models.config import DecoderConfig

DeviceName = Literal["a100-80gb", "h100-80gb", "h200", "cpu"]
GIB = 1 << 30


class Device(NamedTuple):
    """What bounds a forward call."""

    name: DeviceName
    kind: Literal["cpu", "cuda"]
    memory: int
    """Bytes."""
    source: str
    half_flops: float = 0.0
    """Peak of dense matrix products in bfloat16 or float16, in FLOP/s; 0 for a CPU, whose rates
    are measured."""
    single_flops: float = 0.0
    """The same in float32, without TF32, which torch leaves off."""
    bandwidth: float = 0.0
    """Bytes a second from the device's memory."""

    def peak(self, dtype: str) -> float:
        """FLOP/s of matrix products of this dtype."""
        return self.single_flops if dtype == "float32" else self.half_flops


DEVICES: Mapping[DeviceName, Device] = {
    "a100-80gb": Device(
        "a100-80gb",
        "cuda",
        half_flops=312e12,
        single_flops=19.5e12,
        bandwidth=2.039e12,
        memory=80 * 10**9,
        source="NVIDIA A100 data sheet, SXM 80 GB (June 2021)",
    ),
    "h100-80gb": Device(
        "h100-80gb",
        "cuda",
        half_flops=989.5e12,
        single_flops=67e12,
        bandwidth=3.35e12,
        memory=80 * 10**9,
        source="NVIDIA H100 data sheet, SXM 80 GB; half of its figure with sparsity",
    ),
    "h200": Device(
        "h200",
        "cuda",
        half_flops=989.5e12,
        single_flops=67e12,
        bandwidth=4.8e12,
        memory=141 * 10**9,
        source="NVIDIA H200 data sheet, SXM; half of its figure with sparsity",
    ),
    "cpu": Device(
        "cpu",
        "cpu",
        memory=16 * GIB,
        source="one core, at the rates of the nano models on the machine of reports/benchmarks.md",
    ),
}


READING: Mapping[str, float] = {"rwkv6": 0.35, "recurrent_gemma": 0.35}
"""Assumed share of a GPU's peak that reading a prompt reaches, by family."""
READING_OTHERWISE = 0.5
WRITING = 1 / 1.5
"""Assumed share of a GPU's bandwidth that writing an answer reaches."""


class Rates(NamedTuple):
    """How fast a family runs on a device."""

    flops: float
    """FLOP/s while prompts are read."""
    bandwidth: float
    """Bytes a second while answers are written."""
    step: float = 0.0
    """Seconds of a step of writing beside what it moves."""


def assumed(device: Device, spec: DecoderConfig, dtype: str) -> Rates:
    """A decoder's rates where no measurement exists: a share of what the makers state."""
    if device.kind == "cpu":
        return CPU_RATES.get(spec.family, CPU_RATES["mamba2"])
    share = READING.get(spec.family, READING_OTHERWISE)
    step = replayed_seconds(spec)
    return Rates(share * device.peak(dtype), WRITING * device.bandwidth, step)


CPU_RATES: Mapping[str, Rates] = {
    "mamba2": Rates(42e9, 1.7e9, 1.5e-3),
    "mamba2attn": Rates(48e9, 1.7e9, 1.8e-3),
    "transformerpp": Rates(71e9, 1.5e9, 1.2e-3),
    "griffin": Rates(41e9, 0.57e9, 0.3e-3),
    "llama": Rates(74e9, 1.3e9, 1.1e-3),
    "rwkv6": Rates(30e9, 0.94e9, 0.5e-3),
}
"""Of the nano models on one core: reading as the job of ruler/2048 did it, writing as measured with
random weights (reports/benchmarks.md). Another family is taken to run like Mamba2."""


def home(dtype: str) -> Device:
    """The device a model is meant for, as its dtype says: half precision is slow on a CPU."""
    return DEVICES["cpu" if dtype == "float32" else "a100-80gb"]
