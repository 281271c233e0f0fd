"""What Triton compiles and times, kept for all jobs of a cluster that share a folder of results."""

import os
import re
from pathlib import Path

import torch

FOLDER = "kernels"
"""Below the folder of results, beside the studies: their kernels are the same."""


def keep_compiled(output: Path, device: str) -> None:
    """Let jobs that write below one folder `results` compile each kernel once per kind of GPU.

    Compiling takes minutes, and mamba-ssm times its configurations anew in every process; whichever
    wins rounds in its own way, so that kept choices also keep answers the same from job to job.
    Triton's own keys hold versions and architecture, not the model of the GPU, which decides what
    is fastest: hence a folder each. Where somebody has set Triton's variables, they stay as set.

    Triton reads them when it and what is written in it are imported, so this comes first. Not yet
    run on a GPU.
    """
    results = next((each for each in output.absolute().parents if each.name == "results"), None)
    if results is None or torch.device(device).type != "cuda":
        return
    name = re.sub(r"\W+", "-", torch.cuda.get_device_name(device))
    os.environ.setdefault("TRITON_CACHE_DIR", str(results / FOLDER / name))
    os.environ.setdefault("TRITON_CACHE_AUTOTUNING", "1")
