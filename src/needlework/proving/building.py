"""causal-conv1d from its sources, for the GPU that is here and for reading alone.

Its setup compiles for up to nine architectures and spends four fifths of its time on the backward
pass, of which nothing here has a use; torch's own builder takes the forward files in a minute.
Not yet run on a GPU.
"""

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import torch

from needlework.errors import ResourceError
from needlework.proving.records import Built

MODULE = "causal_conv1d_cuda"
PLACE = "causal-conv1d"
"""Below the folder of all results; on the path of every worker that starts after it is there."""
UNFINISHED = ".build-"
FORWARD = ("causal_conv1d.cpp", "causal_conv1d_fwd.cu", "causal_conv1d_update.cu")
FLAGS = (
    "-O3",
    "-U__CUDA_NO_HALF_OPERATORS__",
    "-U__CUDA_NO_HALF_CONVERSIONS__",
    "-U__CUDA_NO_BFLOAT16_OPERATORS__",
    "-U__CUDA_NO_BFLOAT16_CONVERSIONS__",
    "-U__CUDA_NO_BFLOAT162_OPERATORS__",
    "-U__CUDA_NO_BFLOAT162_CONVERSIONS__",
    "--expt-relaxed-constexpr",
    "--expt-extended-lambda",
    "--use_fast_math",
)
"""Those of its setup, without the architectures and what only reports."""
BACKWARD = """// Every symbol of the backward pass, each of which refuses to run.
#include <torch/extension.h>
#include <c10/cuda/CUDAStream.h>
#include "causal_conv1d.h"

template <typename input_t, typename weight_t>
void causal_conv1d_bwd_cuda(ConvParamsBwd &, cudaStream_t) {
    TORCH_CHECK(false, "causal-conv1d was built without its backward pass");
}
template <typename input_t, typename weight_t>
void causal_conv1d_channellast_bwd_cuda(ConvParamsBwd &, cudaStream_t) {
    TORCH_CHECK(false, "causal-conv1d was built without its backward pass");
}
#define BOTH(I, W) \\
    template void causal_conv1d_bwd_cuda<I, W>(ConvParamsBwd &, cudaStream_t); \\
    template void causal_conv1d_channellast_bwd_cuda<I, W>(ConvParamsBwd &, cudaStream_t);
#define ALL(W) BOTH(float, W) BOTH(at::Half, W) BOTH(at::BFloat16, W)
ALL(float) ALL(at::Half) ALL(at::BFloat16)
"""


def build(source: Path, folder: Path) -> Built:
    """causal-conv1d below `folder`, there at once or not at all.

    Raises:
        ResourceError: `source` is not its source distribution, or there is no nvcc.
    """
    os.environ["CUDA_HOME"] = str(toolkit())
    # Looks for the toolkit when it is imported.
    from torch.utils import cpp_extension

    capability = ".".join(map(str, torch.cuda.get_device_capability()))
    os.environ["TORCH_CUDA_ARCH_LIST"] = capability
    # A build that was killed could not tidy up.
    for stale in folder.glob(f"{UNFINISHED}*"):
        shutil.rmtree(stale)
    with tempfile.TemporaryDirectory(dir=folder, prefix=UNFINISHED) as place:
        unpacked = unpack(source, Path(place))
        made = Path(place) / "made"
        made.mkdir()
        cpp_extension.load(
            name=MODULE,
            sources=[str(path) for path in forward_sources(unpacked)],
            extra_include_paths=[str(unpacked / "csrc")],
            extra_cflags=["-O3"],
            extra_cuda_cflags=list(FLAGS),
            build_directory=str(made),
            verbose=True,
        )
        library = made / f"{MODULE}.so"
        size = library.stat().st_size
        ready = assemble(unpacked, library, Path(place) / "ready")
        shutil.rmtree(folder / PLACE, ignore_errors=True)
        ready.rename(folder / PLACE)
    return Built(architecture=f"sm_{capability.replace('.', '')}", bytes=size)


def toolkit() -> Path:
    """The folder of the CUDA toolkit, as the variable CUDA_HOME or nvcc itself says.

    An nvcc on the path may be a script in another place that calls it, so it is asked.

    Raises:
        ResourceError: there is no nvcc.
    """
    if "CUDA_HOME" in os.environ:
        return Path(os.environ["CUDA_HOME"])
    nvcc = shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")
    if nvcc is None:
        raise ResourceError("there is no nvcc; put it on the PATH, or name its folder in CUDA_HOME")
    asked = [nvcc, "--dryrun", "-E", "-x", "cu", os.devnull]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    top = re.search(r"^#\$ TOP=(.+)$", done.stderr, re.MULTILINE)
    return Path(top[1]).resolve() if top else Path(nvcc).resolve().parents[1]


def unpack(source: Path, place: Path) -> Path:
    """The folder of the unpacked sources.

    Raises:
        ResourceError: `source` is not the source distribution of causal-conv1d.
    """
    try:
        with tarfile.open(source) as archive:
            archive.extractall(place, filter="data")
    except (OSError, tarfile.TarError) as error:
        raise ResourceError(
            f"{source} is not an archive ({error}); name the causal_conv1d-*.tar.gz of PyPI"
        ) from error
    folders = [path for path in place.iterdir() if (path / "csrc" / FORWARD[0]).is_file()]
    if len(folders) != 1:
        raise ResourceError(
            f"{source} holds no csrc/{FORWARD[0]}; name the causal_conv1d-*.tar.gz of PyPI"
        )
    return folders[0]


def forward_sources(unpacked: Path) -> list[Path]:
    """The files to compile: its forward pass, and what stands for the rest."""
    instead = unpacked / "csrc" / "no_backward.cpp"
    instead.write_text(BACKWARD, encoding="utf-8")
    return [*(unpacked / "csrc" / name for name in FORWARD), instead]


def assemble(unpacked: Path, library: Path, ready: Path) -> Path:
    """A folder that can be put on Python's path: the package, its library, its version."""
    shutil.copytree(unpacked / "causal_conv1d", ready / "causal_conv1d")
    shutil.copy(library, ready / library.name)
    described = (unpacked / "PKG-INFO").read_text(encoding="utf-8")
    found = re.search(r"^Version: (\S+)$", described, re.MULTILINE)
    known = ready / f"causal_conv1d-{found[1] if found else '0'}.dist-info"
    known.mkdir()
    (known / "METADATA").write_text(described, encoding="utf-8")
    return ready
