"""The weights of a GGUF file as a stream of named tensors, rounded values made numbers again."""

from collections.abc import Collection, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from needlework.errors import CheckpointError
from needlework.gguf_header import Header, read_header

FREQUENCIES = "rope_freqs.weight"
"""No weight but a setting of the rotary embedding: what each of its frequencies is divided by."""


def stream(
    path: Path, names: Collection[str] | None = None, *, meta: bool
) -> Iterator[tuple[str, Tensor]]:
    """The weights of these names, or all, in float32; with `meta` without their values.

    Raises:
        CheckpointError: the file cannot be read, or the gguf library cannot make numbers of it.
    """
    header = read_header(path)
    values = None if meta else np.memmap(path, mode="r", dtype=np.uint8)
    for weight in header.weights:
        if weight.name == FREQUENCIES or (names is not None and weight.name not in names):
            continue
        if values is None:
            yield weight.name, torch.empty(weight.shape, device="meta")
        else:
            part = values[weight.start : weight.start + weight.size]
            yield weight.name, dequantised(part, weight.shape, weight.kind, where=str(path))


def frequencies(header: Header) -> tuple[float, ...] | None:
    """What the file divides every rotary frequency by; None where it says nothing."""
    for weight in header.weights:
        if weight.name == FREQUENCIES:
            values = np.memmap(header.path, mode="r", dtype=np.uint8)
            part = values[weight.start : weight.start + weight.size]
            tensor = dequantised(part, weight.shape, weight.kind, where=str(header.path))
            return tuple(tensor.tolist())
    return None


def dequantised(
    values: np.ndarray[tuple[int], np.dtype[np.uint8]],
    shape: tuple[int, ...],
    kind: str,
    *,
    where: str,
) -> Tensor:
    """The bytes of a tensor as float32 numbers.

    Raises:
        CheckpointError: the gguf library cannot dequantise their type.
    """
    from gguf import GGMLQuantizationType, dequantize

    rows = (
        np.ascontiguousarray(values).reshape(-1)
        if len(shape) == 1
        else values.reshape(*shape[:-1], -1)
    )
    try:
        numbers = dequantize(rows, GGMLQuantizationType[kind])
    except NotImplementedError as error:
        raise CheckpointError(
            f"{where} has weights of type {kind}, which gguf {version('gguf')} cannot make numbers "
            "of; update gguf, or quantise the model another way"
        ) from error
    return torch.from_numpy(np.array(numbers, dtype=np.float32)).view(shape)
