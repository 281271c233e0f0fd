"""The files of a checkpoint as a stream of named tensors, one at a time.

Nothing is ever unpickled but tensors (`weights_only`), and archives are mapped, not loaded.
"""

import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from needlework.errors import CheckpointError
from needlework.gguf_header import is_gguf
from needlework.models.checkpoints import gguf_tensors

_SINGLE = ("model.safetensors", "pytorch_model.bin")


def shards(source: Path) -> list[Path]:
    """The weight files of a folder, or the file itself.

    Raises:
        CheckpointError: there are none, or the index names a file that is absent.
    """
    if source.is_file():
        return [source]
    for name in _SINGLE:
        if (source / name).is_file():
            return [source / name]
        index = source / f"{name}.index.json"
        if index.is_file():
            names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
            absent = [each for each in names if not (source / each).is_file()]
            if absent:
                raise CheckpointError(f"{index} names {absent[0]}, which is absent; fetch it again")
            return [source / each for each in names]
    raise CheckpointError(f"{source} has none of {', '.join(_SINGLE)}; is it a checkpoint folder?")


def shapes(files: list[Path]) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor, without reading its values.

    Raises:
        CheckpointError: a file is truncated or is not what its name says.
    """
    return {
        name: tuple(tensor.shape) for file in files for name, tensor in _mapped(file, meta=True)
    }


def tensors(files: list[Path]) -> Iterator[tuple[str, Tensor]]:
    """Every tensor, one after the other."""
    for file in files:
        yield from _mapped(file, meta=False)


def _mapped(file: Path, *, meta: bool) -> Iterator[tuple[str, Tensor]]:
    try:
        if file.suffix == ".safetensors":
            yield from _safetensors(file, meta=meta)
        elif is_gguf(file):
            yield from gguf_tensors.stream(file, meta=meta)
        else:
            device = "meta" if meta else "cpu"
            archive = torch.load(file, map_location=device, weights_only=True, mmap=not meta)
            yield from archive.items()
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"{file} cannot be read ({reason}); it may be truncated: delete it and fetch it again"
        ) from error


def _safetensors(file: Path, *, meta: bool) -> Iterator[tuple[str, Tensor]]:
    with safe_open(file, framework="pt") as archive:
        for name in archive.keys():  # noqa: SIM118 - not a mapping
            if meta:
                yield name, torch.empty(archive.get_slice(name).get_shape(), device="meta")
            else:
                yield name, archive.get_tensor(name)
