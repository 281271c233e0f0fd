"""What a job takes before its first forward call: seconds that were measured, and assumed ones.

What was measured is of `python -m benchmarks start` on the machine of reports/benchmarks.md.
"""

from needlework.cost.devices import Device

PROCESS_SECONDS = 3.0
"""Measured: Python, imports from a disk of the machine, a tokenizer, and whatever else is the same
for every cell; 2.4 s of CPU."""
TOKENS_A_SECOND = 3e6
"""Measured: prompt tokens that become input for a model, from the text of a dataset to the plan of
shared prefixes, on one core; the eleven tasks of RULER that need no questions of others."""
FILE_BYTES_A_SECOND = 1e9
"""Assumed: what a cluster's file system gives one process, eight tenths of an Ethernet of
10 Gbit/s. From memory weights were placed at 1.5 GB/s on a CPU; every job is taken to read them
anew."""
GPU_SECONDS = 15.0
"""Assumed: to make a CUDA context, load its libraries, import packages of kernels, launch for the
first time, and load Triton's kernels from the folder that all jobs share (`engine.compiled`). Who
compiles them takes longer: mostly the verification of a model; kernels beside a prefix are compiled
by the first cell that needs them."""


def starting_seconds(device: Device, *, weights: int, prompt_tokens: float) -> float:
    """Seconds from the start of a job to its first forward call.

    `weights` are the bytes that are read, those of the parameters in the dtype that is used: files
    in another may have twice as many. `prompt_tokens` are those of all samples.
    """
    of_host = PROCESS_SECONDS + prompt_tokens / TOKENS_A_SECOND + weights / FILE_BYTES_A_SECOND
    return of_host + (GPU_SECONDS if device.kind == "cuda" else 0.0)


def assumed_of_starts(*, on_gpu: bool) -> str:
    """What the seconds of a start rest on, in a sentence."""
    said = (
        f"to start a cell: {PROCESS_SECONDS:g} s, and one more for {TOKENS_A_SECOND / 1e6:g} M "
        f"prompt tokens, measured on a CPU; its weights from files at an assumed "
        f"{FILE_BYTES_A_SECOND / 1e9:g} GB/s"
    )
    context = f"; an assumed {GPU_SECONDS:g} s for CUDA and kernels that were compiled before"
    return said + (context if on_gpu else "")
