"""What this machine can do: devices, kernels, versions, and the longest context of every model.

Knows formulas for memory; loads no weights. A model's configuration is read where it lies already.
"""

import json
import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import huggingface_hub
import torch

from needlework.engine.memory import free_bytes, row_bytes
from needlework.errors import CheckpointError
from needlework.models import kernels
from needlework.models.checkpoints import decoder_config
from needlework.models.config import DecoderConfig
from needlework.models.decoder import Decoder
from needlework.study import ModelEntry

PACKAGES = ("needlework", "torch", "transformers", "tokenizers", "snakemake", "polars")
GIB = 1 << 30
PROBE = 1 << 20
"""Tokens at which the formula is evaluated to find what one more token costs, in bytes."""


def examine(models: Mapping[str, ModelEntry]) -> Iterator[str]:
    """The findings, one line each."""
    cuda = torch.cuda.is_available()
    device = torch.device("cuda" if cuda else "cpu")
    name = torch.cuda.get_device_name() if cuda else f"{platform.machine()} CPU"
    yield f"device      {name}, {torch.get_num_threads()} CPU threads"
    yield f"free memory {free_bytes(device) / GIB:.1f} GiB"
    yield f"versions    {', '.join(f'{each} {_version(each)}' for each in PACKAGES)}"
    choices = kernels.choices(device, torch.bfloat16 if cuda else torch.float32)
    yield f"kernels     {', '.join(f'{what}: {who}' for what, who in choices.items())}"
    for operation, kernel in kernels.KERNELS.items():
        if not kernels.installed(kernel.module):
            yield f"            {kernel.package} is not installed: {operation} runs on torch"
    yield "longest context of one row, weights included, by formula:"
    width = max(map(len, models), default=0)
    for model, entry in models.items():
        yield f"  {model:{width}}  {_longest(entry, free_bytes(device))}"


def _longest(entry: ModelEntry, free: int) -> str:
    try:
        spec = _configuration(entry)
    except CheckpointError as error:
        return str(error)
    if spec is None:
        return f"{entry.checkpoint} is not fetched yet; run `snakemake fetch`"
    dtype: torch.dtype = getattr(torch, entry.dtype)
    tokens = longest_context(spec, dtype, free)
    if tokens is None:
        return "any length: its state does not grow"
    return (
        f"{tokens:,} tokens" if tokens else f"none: the weights alone exceed {free / GIB:.1f} GiB"
    )


def longest_context(spec: DecoderConfig, dtype: torch.dtype, free: int) -> int | None:
    """Tokens of one row that fit into `free` bytes beside the weights; None when all do."""
    with torch.device("meta"):
        decoder = Decoder(spec).to(dtype)
    weights = sum(each.numel() * each.element_size() for each in decoder.parameters())
    # A window stops growing long before the probe, so past it only full attention costs more.
    far = row_bytes(decoder, PROBE)
    per_token = (row_bytes(decoder, 2 * PROBE) - far) / PROBE
    if not per_token:
        return None if weights + far <= free else 0
    return max(0, int((free - weights - row_bytes(decoder, 0)) / per_token))


def _configuration(entry: ModelEntry) -> DecoderConfig | None:
    """The decoder of an entry whose files are here; None where they are not."""
    path = Path(entry.checkpoint) / "config.json"
    if not path.is_file():
        if entry.checkpoint.count("/") != 1:
            return None
        cached = huggingface_hub.try_to_load_from_cache(
            entry.checkpoint, "config.json", revision=entry.revision
        )
        if not isinstance(cached, str):
            return None
        path = Path(cached)
    spec, _ = decoder_config(json.loads(path.read_text(encoding="utf-8")), where=str(path))
    return spec


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
