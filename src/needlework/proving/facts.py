"""The machine, as torch and its packages say of it."""

import importlib.util
import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version

import torch

from needlework import sources
from needlework.models import kernels
from needlework.proving.records import Facts


def find_facts() -> Facts:
    """What there is: a GPU, else the processor; versions; which packages with kernels import."""
    gpu = torch.cuda.is_available()
    main_memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Facts(
        device="cuda" if gpu else "cpu",
        name=torch.cuda.get_device_name() if gpu else f"{platform.machine()} CPU",
        capability=".".join(map(str, torch.cuda.get_device_capability())) if gpu else None,
        memory=torch.cuda.mem_get_info()[1] if gpu else main_memory,
        driver=_driver() if gpu else None,
        cuda=torch.version.cuda,
        python=platform.python_version(),
        torch=torch.__version__,
        triton=_version("triton"),
        packages=_packages(),
        code=sources.digest("needlework.proving.worker"),
    )


def _driver() -> str | None:
    """Of NVIDIA; None where its tool is not there, as in some containers."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    asked = [tool, "--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return (done.stdout.splitlines() or [""])[0].strip() or None


def _packages() -> dict[str, str]:
    """Of each package with kernels its version, or why it is not used."""
    modules = {kernel.package: kernel.module for kernel in kernels.KERNELS.values()}
    return {package: _state(package, module) for package, module in sorted(modules.items())}


def _state(package: str, module: str) -> str:
    if importlib.util.find_spec(module) is None:
        return "not installed"
    failure = kernels.import_failure(module)
    if failure is not None:
        return f"cannot be used: {failure}"
    return _version(package) or "of unknown version"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
