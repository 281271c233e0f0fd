#!/usr/bin/env python3
"""nvcc, for the architectures that ARCHITECTURES names alone, as "80 90".

causal-conv1d and mamba-ssm build for every architecture that nvcc knows, whatever
TORCH_CUDA_ARCH_LIST says: nine with CUDA 13. PyTorch calls what PYTORCH_NVCC names in place of
nvcc, so this drops the pairs of arguments that nobody asked for.
"""

import os
import sys
from pathlib import Path


def kept(arguments: list[str], architectures: list[str]) -> list[str]:
    """The arguments without every `-gencode` for another architecture."""
    wanted = {f"code=sm_{architecture}" for architecture in architectures}
    rest, left = iter(arguments), []
    for argument in rest:
        pair = [argument, next(rest)] if argument == "-gencode" else [argument]
        if len(pair) == 1 or wanted & set(pair[1].split(",")):
            left += pair
    return left


if __name__ == "__main__":
    # nvcc finds its parts by the path that it is called with.
    nvcc = str(Path(os.environ["CUDA_HOME"], "bin/nvcc"))
    os.execv(nvcc, [nvcc, *kept(sys.argv[1:], os.environ["ARCHITECTURES"].split())])
