"""Which implementation computes an operation: torch anywhere, faster kernels on CUDA if installed.

What an operation means is defined by the mixers; `cuda.py` adapts each package. What was chosen is
written into every prediction.
"""

import importlib.util
import logging
import os
import pkgutil
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from needlework.models.layer import Operation

TORCH = "torch"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kernel:
    """A package that has a faster implementation of an operation on CUDA."""

    package: str
    """Its name among the installed distributions, as predictions and `doctor` show it."""
    module: str
    functions: tuple[str, ...]
    """What `cuda.py` calls of it, as `module:function`; all of that has to be importable."""


KERNELS: Mapping[Operation, Kernel] = {
    "attention": Kernel(
        "flash-attn",
        "flash_attn",
        ("flash_attn:flash_attn_func", "flash_attn:flash_attn_with_kvcache"),
    ),
    "convolution": Kernel("causal-conv1d", "causal_conv1d", ("causal_conv1d:causal_conv1d_fn",)),
    "selective_scan": Kernel(
        "mamba-ssm",
        "mamba_ssm",
        (
            "mamba_ssm.ops.triton.ssd_combined:mamba_chunk_scan_combined",
            "mamba_ssm.ops.triton.selective_state_update:selective_state_update",
            "mamba_ssm.ops.triton.layernorm_gated:rmsnorm_fn",
        ),
    ),
    "diagonal_scan": Kernel("fla-core", "fla", ("fla.ops.hgrn:fused_recurrent_hgrn",)),
    "weighted_key_values": Kernel(
        "fla-core", "fla", ("fla.ops.rwkv6:chunk_rwkv6", "fla.ops.rwkv6:fused_recurrent_rwkv6")
    ),
    "pointwise": Kernel("triton", "triton", ("triton:jit",)),
}
"""The kernel of each operation; without it, on a CPU and in float64 torch computes it."""

IN_TRITON = ("triton", "mamba_ssm", "fla")
"""Modules whose kernels Triton builds on the node where they run."""

LEAST_CAPABILITY = (8, 0)
"""Compute capability from which Triton supports a GPU: that of an A100."""

BESIDE: tuple[torch.dtype, ...] = (torch.bfloat16, torch.float16)
"""Numbers for which our own kernel looks at a prefix where it lies."""

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
    usable = installed(kernel.module) and too_old(device) is None
    return kernel.package if usable else TORCH


def looks_beside(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether our own kernel looks at a prefix where it lies; it is built for numbers of 16 bits.

    Of 32 bits, what a program has to hold does not fit into its registers.
    """
    return dtype in BESIDE and chosen("pointwise", device, dtype) != TORCH


def choices(device: torch.device, dtype: torch.dtype) -> dict[Operation, str]:
    """What is chosen for every operation."""
    return {operation: chosen(operation, device, dtype) for operation in KERNELS}


def installed(module: str) -> bool:
    """Whether a package is here and can be used; one that is here and cannot is told of once."""
    return importlib.util.find_spec(module) is not None and import_failure(module) is None


def functions_of(module: str) -> list[str]:
    """What is called of a package, as `module:function`."""
    return [
        function
        for kernel in KERNELS.values()
        if kernel.module == module
        for function in kernel.functions
    ]


@cache
def import_failure(module: str) -> str | None:
    """Why a package, or a function of it that is called, cannot be used; None where it can.

    A compiled half that was built for another torch is found here and not at the first token, and
    so is a compiler that Triton would miss.
    """
    try:
        for name in functions_of(module) or [module]:
            pkgutil.resolve_name(name)
    except (ImportError, AttributeError, OSError, RuntimeError) as error:
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        log.warning("%s is installed and not used, it does not import: %s", module, said)
        return said
    # Its interpreter builds nothing.
    built = module in IN_TRITON and os.environ.get("TRITON_INTERPRET") != "1"
    missing = missing_compiler() if built else None
    if missing is not None:
        log.warning("%s is installed and not used: %s", module, missing)
    return missing


@cache
def too_old(device: torch.device) -> str | None:
    """Why a GPU is none for kernels; None where it is one, which is told of once where not."""
    if device.type != "cuda" or not torch.cuda.is_available():
        return None
    capability = torch.cuda.get_device_capability(device)
    if capability >= LEAST_CAPABILITY:
        return None
    name = torch.cuda.get_device_name(device)
    has, needed = (".".join(map(str, each)) for each in (capability, LEAST_CAPABILITY))
    said = f"{name} has compute capability {has}, kernels need {needed}"
    log.warning("no kernel is used: %s", said)
    return said


def configurations() -> dict[str, str]:
    """What Triton has chosen for each kernel that it tunes and that has run, by the kernel's name.

    A kernel that ran on several kinds of shapes may have several.
    """
    triton = sys.modules.get("triton.runtime.autotuner")
    found: dict[str, set[str]] = {}
    for name, module in sorted(sys.modules.items()):
        if triton is None or name.partition(".")[0] not in IN_TRITON:
            continue
        for kernel in list(vars(module).values()):
            while kernel is not None:
                if isinstance(kernel, triton.Autotuner):
                    chosen = found.setdefault(kernel.base_fn.__name__, set())
                    chosen.update(map(_configuration, kernel.cache.values()))
                # Heuristics stand around what is tuned, or within.
                wraps = type(kernel).__module__ == triton.__name__
                kernel = vars(kernel).get("fn") if wraps else None
    return {name: " | ".join(sorted(chosen)) for name, chosen in sorted(found.items()) if chosen}


def _configuration(chosen: Any) -> str:  # noqa: ANN401 - Triton's
    """One configuration: sizes of blocks, warps and stages."""
    sizes = {**chosen.kwargs, "num_warps": chosen.num_warps, "num_stages": chosen.num_stages}
    return " ".join(f"{name}={value}" for name, value in sizes.items())


def missing_compiler() -> str | None:
    """What is missing of a C compiler and headers of Python, with which Triton builds launchers."""
    found = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    if found is None or shutil.which(found) is None:
        named = f"CC={found} is not here" if found else "neither gcc nor clang is here"
        return f"{named}, and every kernel in Triton needs one on the node where it runs"
    headers = Path(sysconfig.get_path("include"))
    if not (headers / "Python.h").is_file():
        return f"{found} is here, but {headers} has no Python.h, which every kernel in Triton needs"
    return None
