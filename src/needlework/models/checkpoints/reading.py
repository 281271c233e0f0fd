"""The files of a checkpoint as a stream of named tensors, one at a time.

Nothing is ever unpickled but tensors (`weights_only`), and archives are mapped, not loaded.
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import torch
from safetensors import safe_open
from torch import Tensor

from needlework.door import AGAIN, opens, read_json
from needlework.errors import CheckpointError
from needlework.gguf_header import is_gguf
from needlework.models.checkpoints import gguf_tensors

_SINGLE = ("model.safetensors", "pytorch_model.bin")
_OTHERS = (int, float, complex, str, bytes, type(None))
"""What may lie beside the tensors of an archive and says nothing of the model."""


def shards(source: Path) -> list[Path]:
    """The weight files of a folder, or the file itself.

    Raises:
        CheckpointError: there are none, or the index is damaged, names a file that is absent, or
            one that is not in the folder.
    """
    if source.is_file():
        return [source]
    for name in _SINGLE:
        if (source / name).is_file():
            return [source / name]
        index = source / f"{name}.index.json"
        if index.is_file():
            names = _named(index)
            absent = [each for each in names if not (source / each).is_file()]
            if absent:
                raise CheckpointError(f"{index} names {absent[0]}, which is absent; {AGAIN}")
            return [source / each for each in names]
    raise CheckpointError(f"{source} has none of {', '.join(_SINGLE)}; is it a checkpoint folder?")


@opens("an index of weights", "model.safetensors.index.json", error=CheckpointError)
def _named(index: Path) -> list[str]:
    """The files that an index names, each once."""
    places = read_json(index, error=CheckpointError, kind=dict).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise CheckpointError(f"{index} has no weight_map, or nothing in it; {AGAIN}")
    for name in places.values():
        if not isinstance(name, str) or Path(name).name != name:
            raise CheckpointError(
                f"{index} names {name!r}, which is no file of its folder; {AGAIN}"
            )
    return sorted(set(places.values()))


def shapes(files: list[Path]) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor, without reading its values.

    Raises:
        CheckpointError: a file is truncated or is not what its name says.
    """
    return {
        name: tuple(tensor.shape) for file in files for name, tensor in _mapped(file, meta=True)
    }


def tensors(files: list[Path], names: Collection[str]) -> Iterator[tuple[str, Tensor]]:
    """The tensors of these names, one after the other; no others are read."""
    for file in files if names else ():
        yield from _mapped(file, names, meta=False)


@opens(
    "a file of weights",
    "model.safetensors",
    "pytorch_model.bin",
    "model.pth",
    error=CheckpointError,
    way_out="it may be truncated: delete it and fetch it again",
)
def _mapped(
    file: Path, names: Collection[str] | None = None, *, meta: bool
) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a file that have one of these names, or all."""
    if _is_safetensors(file):
        yield from _safetensors(file, names, meta=meta)
    elif is_gguf(file):
        yield from gguf_tensors.stream(file, names, meta=meta)
    else:
        yield from _archive(file, names, meta=meta)


def _is_safetensors(file: Path) -> bool:
    """By what the file holds: some have the other name."""
    with file.open("rb") as opened:
        start = opened.read(9)
    return file.suffix == ".safetensors" or start[8:] == b"{"


def _archive(
    file: Path, names: Collection[str] | None, *, meta: bool
) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a file by `torch.save`; those of old versions of torch cannot be mapped."""
    mapped = not meta and is_zipfile(file)
    device = "meta" if meta else "cpu"
    archive = torch.load(file, map_location=device, weights_only=True, mmap=mapped)
    if not isinstance(archive, dict):
        raise CheckpointError(
            f"{file} holds {type(archive).__name__}, not tensors by name; save its state_dict"
        )
    found = False
    for name, tensor in archive.items():
        if isinstance(tensor, Tensor):
            found = True
            if names is None or str(name) in names:
                yield str(name), tensor
        elif not isinstance(tensor, _OTHERS):
            raise CheckpointError(
                f"{file} holds {type(tensor).__name__} under {_short(name)}, where tensors should "
                "stand by name; save its state_dict alone"
            )
    if not found:
        raise CheckpointError(f"{file} holds no tensors; {AGAIN}")


def _short(name: Any) -> str:  # noqa: ANN401 - what a stranger wrote
    return repr(name)[:60]


def _safetensors(
    file: Path, names: Collection[str] | None, *, meta: bool
) -> Iterator[tuple[str, Tensor]]:
    with safe_open(file, framework="pt") as archive:
        for name in archive.keys():  # noqa: SIM118 - not a mapping
            if names is not None and name not in names:
                continue
            if meta:
                yield name, torch.empty(archive.get_slice(name).get_shape(), device="meta")
            else:
                yield name, archive.get_tensor(name)
