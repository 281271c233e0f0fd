"""Which implementation computes an operation: torch anywhere, faster kernels on CUDA if installed.

What an operation means is defined by the mixers; `cuda.py` adapts each package. What was chosen is
written into every prediction.
"""

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch

Operation = Literal[
    "attention", "convolution", "selective_scan", "diagonal_scan", "weighted_key_values"
]

TORCH = "torch"


@dataclass(frozen=True)
class Kernel:
    """A package that has a faster implementation of an operation on CUDA."""

    package: str
    """Its name among the installed distributions, as predictions and `doctor` show it."""
    module: str
    """What has to be importable."""


KERNELS: Mapping[Operation, Kernel] = {
    "attention": Kernel("flash-attn", "flash_attn"),
    "convolution": Kernel("causal-conv1d", "causal_conv1d"),
    "selective_scan": Kernel("mamba-ssm", "mamba_ssm"),
    "diagonal_scan": Kernel("fla-core", "fla"),
    "weighted_key_values": Kernel("fla-core", "fla"),
}
"""The kernel of each operation; without it, on a CPU and in float64 torch computes it."""

_only_torch: ContextVar[bool] = ContextVar("only_torch", default=False)


@contextmanager
def only_torch() -> Iterator[None]:
    """Compute everything with torch inside the block: the second opinion on every kernel."""
    token = _only_torch.set(True)
    try:
        yield
    finally:
        _only_torch.reset(token)


def accelerated(device: torch.device) -> bool:
    """Whether tensors of this device are computed by CUDA, with its kernels and its rounding."""
    return device.type == "cuda"


def chosen(operation: Operation, device: torch.device, dtype: torch.dtype) -> str:
    """The package that computes an operation on tensors of this device and dtype.

    Kernels know half and single precision; float64 is for second opinions, which torch gives.
    """
    if not accelerated(device) or dtype is torch.float64 or _only_torch.get():
        return TORCH
    kernel = KERNELS[operation]
    return kernel.package if installed(kernel.module) else TORCH


def choices(device: torch.device, dtype: torch.dtype) -> dict[Operation, str]:
    """What is chosen for every operation."""
    return {operation: chosen(operation, device, dtype) for operation in KERNELS}


@cache
def installed(module: str) -> bool:
    """Whether a package can be imported, without importing it."""
    return importlib.util.find_spec(module) is not None
