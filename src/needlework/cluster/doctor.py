"""What this machine can do: devices, kernels, versions, and the longest context of every model.

Memory is computed by formula: local configurations are read, weights never.
"""

import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from needlework.cluster import installation
from needlework.cost.architectures import Weights, architecture
from needlework.cost.room import SHARE_OF_FREE
from needlework.engine.memory import all_free_bytes, longest_that_fits, needed_bytes
from needlework.external.snapshots import is_hub_id
from needlework.models.checkpoints import reading, rwkv6
from needlework.models.config import DecoderConfig
from needlework.models.decoder import Decoder
from needlework.study.config import ModelEntry

PACKAGES = ("needlework", "transformers", "tokenizers", "safetensors", "snakemake")
REFERENCES = ("mamba-ssm", "rwkv")
"""What `verify-model` compares with beside transformers."""
GIB = 1 << 30
MIB = 1 << 20
FAR = 1 << 20
"""Tokens at which the formula is evaluated to find what one more token costs, in bytes."""


def examine(models: Mapping[str, ModelEntry]) -> Iterator[str]:
    """The findings, one line each."""
    device = installation.device()
    share, free = SHARE_OF_FREE[device.type], all_free_bytes(device)
    yield from installation.lines(device)
    yield f"free memory {free / GIB:.1f} GiB, of which a cell uses {share:.0%} by default"
    yield f"versions    Python {platform.python_version()}, {', '.join(map(_version, PACKAGES))}"
    yield f"references  {', '.join(map(_version, REFERENCES))}"
    yield f"longest context of one row beside the weights in {free / GIB:.1f} GiB, by formula:"
    width = max(map(len, models), default=0)
    for model, entry in models.items():
        yield f"  {model:{width}}  {_longest(entry, free)}"


def _longest(entry: ModelEntry, free: int) -> str:
    if entry.backend == "server":
        return f"as the server has it, {entry.endpoint or entry.serve}"
    spec = _configuration(entry)
    if spec is None and entry.backend == "transformers":
        return "unknown: transformers keeps its state"
    if spec is None:
        fetch = "run `needlework fetch --configfile FILE`"
        fetch = fetch if is_hub_id(entry.checkpoint) else "there is no such checkpoint here"
        return f"unknown: {entry.checkpoint} has no config.json; {fetch}"
    needed = f"{entry.dtype}, weights {weight_bytes(spec, _dtype(entry)) / MIB:,.0f} MiB"
    tokens = longest_context(spec, _dtype(entry), free)
    if tokens is None:
        return f"any length: its state does not grow ({needed})"
    if not tokens:
        return f"none ({needed})"
    return f"{tokens:,} tokens ({needed})"


def weight_bytes(spec: DecoderConfig, dtype: torch.dtype) -> int:
    """Bytes of a decoder's parameters; a tied one counts once."""
    with torch.device("meta"):
        decoder = Decoder(spec)
    return sum(each.numel() for each in decoder.parameters()) * dtype.itemsize


def longest_context(spec: DecoderConfig, dtype: torch.dtype, free: int) -> int | None:
    """Tokens of one row that fit into `free` bytes beside the weights; None when all do."""
    with torch.device("meta"):
        decoder = Decoder(spec).to(dtype)
    rest = free - weight_bytes(spec, dtype)
    tokens = longest_that_fits(decoder, rest)
    # A window stops growing long before, so from here on only full attention costs more.
    if tokens and needed_bytes(decoder, 2 * FAR) == needed_bytes(decoder, FAR):
        return None
    return tokens


def _configuration(entry: ModelEntry) -> DecoderConfig | None:
    """The decoder of an entry that is described here; None where it is not."""
    path = Path(entry.checkpoint)
    if path.suffix == ".pth" and path.is_file():
        return rwkv6.config_from_shapes(reading.shapes([path]))
    return architecture(Weights.of(entry))


def _dtype(entry: ModelEntry) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, entry.dtype)
    return dtype


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} is not installed"
