"""What a machine has to compute with: torch and its CUDA, driver, C compiler, kernels."""

import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import torch

from needlework.models import kernels
from needlework.models.layer import Operation

DRIVER = Path("/proc/driver/nvidia/version")
IMPORT_SECONDS = 300
"""A package on a slow file system takes minutes to import; one that hangs is broken."""


def device() -> torch.device:
    """The GPU where torch can use one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def lines(found: torch.device) -> Iterator[str]:
    """One line each for the device, torch, the driver, the compiler and every kernel."""
    yield f"device      {_device(found)}, {torch.get_num_threads()} CPU threads"
    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPUs"
    yield f"torch       {torch.__version__}, built for {built}"
    yield f"driver      {driver() or 'there is no NVIDIA driver here'}"
    if found.type == "cpu":
        yield f"no GPU      {_why_no_gpu()}"
    yield f"compiler    {compiler()}"
    yield "kernels"
    width = max(map(len, kernels.KERNELS))
    for operation in kernels.KERNELS:
        yield f"  {operation:{width}}  {kernel(operation, found)}"


def driver() -> str | None:
    """The version of the NVIDIA driver; None where there is none."""
    if DRIVER.is_file():
        stated = re.search(r"Module.*?\s(\d+(?:\.\d+)+)", DRIVER.read_text(encoding="utf-8"))
        if stated:
            return stated[1]
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    asked = [tool, "--query-gpu=driver_version", "--format=csv,noheader"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()
    return told[0] if told and told[0][0].isdigit() else None


def compiler() -> str:
    """The C compiler and headers with which Triton makes launchers, or what is missing of them."""
    missing = kernels.missing_compiler()
    if missing is not None:
        return f"none: {missing}"
    found = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    return f"{found}, headers of Python in {sysconfig.get_path('include')}"


def kernel(operation: Operation, found: torch.device) -> str:
    """Who computes an operation on this device, and why it is not the kernel where it is not."""
    package, module = kernels.KERNELS[operation].package, kernels.KERNELS[operation].module
    try:
        named = f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"torch: {package} is not installed"
    failure = import_failure(module)
    if failure is not None and failure.ends_python and kernels.accelerated(found):
        return f"none: {named} is chosen and ends what imports it, uninstall it: {failure.said}"
    if failure is not None:
        return f"torch: {named} cannot be imported: {failure.said}"
    if kernels.chosen(operation, found, torch.bfloat16) == package:
        return f"{named}: used"
    if kernels.accelerated(found):
        why = kernels.import_failure(module) or kernels.too_old(found)
        return f"torch: {named} cannot be used: {why}"
    return f"torch: {named} can be imported and waits for a GPU"


class Failure(NamedTuple):
    """Why a package cannot be imported."""

    said: str
    ends_python: bool
    """Whether whoever imports it is ended by it, or hangs."""


@cache
def import_failure(module: str) -> Failure | None:
    """What importing a package's functions says; None where it works.

    In a process of its own: a compiled package that does not fit its torch may end the process that
    imports it.
    """
    each = "import pkgutil, sys\nfor name in sys.argv[1:]: pkgutil.resolve_name(name)"
    command = [sys.executable, "-c", each, *kernels.functions_of(module)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=IMPORT_SECONDS
        )
    except subprocess.TimeoutExpired:
        return Failure(f"it took more than {IMPORT_SECONDS} s", ends_python=True)
    if done.returncode == 0:
        return None
    said = done.stderr.strip().splitlines()
    if done.returncode < 0 or not said:
        return Failure(f"Python ended with {done.returncode}", ends_python=True)
    return Failure(said[-1], ends_python=False)


def _device(found: torch.device) -> str:
    if found.type == "cpu":
        return f"{platform.machine()} CPU"
    major, minor = torch.cuda.get_device_capability()
    return f"{torch.cuda.get_device_name()}, compute capability {major}.{minor} (sm_{major}{minor})"


def _why_no_gpu() -> str:
    if driver() is None:
        return "without a driver; where only compute nodes have one, ask there"
    if torch.version.cuda is None:
        return "this torch is built for CPUs; `make CUDA=1 .venv/ready` puts the CUDA build here"
    try:
        torch.cuda.current_device()
    except RuntimeError as error:
        return " ".join(str(error).split())
    return "CUDA starts and counts no device: is one allotted to this job, and visible?"
