"""Any checkpoint as a decoder: find its files, recognise its family, account for every tensor.

Each family has a module: `decoder_config` reads its config.json, `places` renames its tensors.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from needlework.defects import LayerHazard
from needlework.door import read_settings, shown
from needlework.errors import CheckpointError
from needlework.gguf_header import is_gguf, read_header
from needlework.models.allocation import allocate, without_memory
from needlework.models.checkpoints import (
    gguf,
    llama,
    mamba2,
    mamba_ssm,
    native,
    reading,
    recurrent_gemma,
    rwkv6,
)
from needlework.models.checkpoints.accounting import (
    Places,
    account,
    carries_nothing,
    place_tensor,
    settled,
    unfilled,
)
from needlework.models.checkpoints.hub import find
from needlework.models.config import DecoderConfig
from needlework.models.decoder import Decoder
from needlework.models.hazards import with_hazards


@dataclass(frozen=True)
class Format:
    """How the checkpoints of one family are read."""

    config: Callable[[Mapping[str, Any]], DecoderConfig]
    places: Callable[[DecoderConfig], Places]


NATIVE = Format(native.decoder_config, native.places)
MAMBA_SSM = Format(mamba_ssm.decoder_config, mamba_ssm.places)
FAMILIES: Mapping[str, Format] = {
    "llama": Format(llama.decoder_config, llama.places),
    "qwen2": Format(llama.decoder_config, llama.places),
    "recurrent_gemma": Format(recurrent_gemma.decoder_config, recurrent_gemma.places),
    "mamba2": Format(mamba2.decoder_config, mamba2.places),
    "rwkv6": Format(rwkv6.decoder_config, rwkv6.places),
}
"""The families of transformers, by `model_type`."""


LAYERS = ("num_hidden_layers", "n_layer")
"""How configurations call the number of layers."""
COUNTS = (*LAYERS, "vocab_size", "hidden_size", "num_attention_heads", "d_model")
"""Settings of which every configuration that has one gives a whole number."""
MOST_LAYERS = 5000
"""Fifty times those of the deepest model there is: a configuration alone may not ask for more."""


def load(
    path_or_hub_id: str | Path,
    *,
    revision: str | None = None,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    hazards: Collection[LayerHazard] = (),
) -> Decoder:
    """The decoder of a checkpoint: a folder, a GGUF or RWKV `.pth` file, or a hub id at a revision.

    `hazards` are published defects to switch on. Weights are copied tensor by tensor into their
    dtype and onto their device, so there is never a second copy of the model in memory.

    Raises:
        CheckpointError: files absent or truncated, an unknown family, a configuration that is not
            supported, or tensors that do not match it.
    """
    files = reading.shards(find(path_or_hub_id, revision=revision))
    decoder, places = described(path_or_hub_id, revision=revision, dtype=dtype, hazards=hazards)
    allocate(decoder, device, dtype)
    parameters = dict(decoder.named_parameters())
    with torch.no_grad():
        # A second copy of a tied weight is compared with the first, so it comes last.
        for aliases in (False, True):
            wanted = {name for name, place in places.items() if place.alias == aliases}
            for name, tensor in reading.tensors(files, wanted):
                place_tensor(name, tensor, places[name], parameters)
    return decoder.eval().requires_grad_(False)


def described(
    path_or_hub_id: str | Path,
    *,
    revision: str | None = None,
    dtype: torch.dtype = torch.float32,
    hazards: Collection[LayerHazard] = (),
) -> tuple[Decoder, Places]:
    """The decoder of a checkpoint on the device `meta`, and where each of its tensors belongs.

    Headers are read, and no weights; arguments and errors are those of `load`.
    """
    source = find(path_or_hub_id, revision=revision)
    told = reading.shapes(reading.shards(source))
    shapes = {name: shape for name, shape in told.items() if not carries_nothing(name)}
    spec, places = _recognise(source, shapes)
    decoder = without_memory(with_hazards(spec, hazards))
    unfilled(places, decoder)
    places = settled(places, shapes)
    account(places, shapes, decoder, where=str(source))
    allocate(decoder, "meta", dtype)
    return decoder, places


def decoder_config(raw: Mapping[str, Any], *, where: str) -> tuple[DecoderConfig, Format]:
    """The decoder that a `config.json` describes, and its family.

    Raises:
        CheckpointError: the family is unknown or a setting is not supported.
    """
    family = _family(raw, where)
    _check_counts(raw, where)
    _check_depth(raw, MOST_LAYERS, where)
    return _told(lambda: family.config(raw), where), family


def gguf_config(path: Path) -> DecoderConfig:
    """The decoder that a GGUF file describes.

    Raises:
        CheckpointError: the file is damaged, or what it describes is not computed here.
    """
    header = read_header(path)
    return _told(lambda: gguf.decoder_config(header), str(path))


def _told(read: Callable[[], DecoderConfig], where: str) -> DecoderConfig:
    """What a configuration describes, or one line that says why it cannot be computed."""
    try:
        return read()
    except CheckpointError:
        raise
    except KeyError as error:
        raise CheckpointError(f"{where} has no {error}; is it complete?") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise CheckpointError(f"{where}: {place}: {first['msg']}") from error
    except ValueError as error:
        raise CheckpointError(f"{where}: {error}") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
        raise CheckpointError(
            f"{where} has a value of another kind ({error}); correct it"
        ) from error


def _family(raw: Mapping[str, Any], where: str) -> Format:
    if raw.get("format") == "needlework":
        return NATIVE
    if "d_model" in raw and "n_layer" in raw and "model_type" not in raw:
        return MAMBA_SSM
    kind = str(raw.get("model_type"))
    if kind not in FAMILIES:
        raise CheckpointError(
            f"{where}: model_type {kind!r} is not one of {', '.join(FAMILIES)}; "
            "set `backend: transformers` in the model's entry to run it through transformers"
        )
    return FAMILIES[kind]


def _recognise(source: Path, shapes: Mapping[str, tuple[int, ...]]) -> tuple[DecoderConfig, Places]:
    if is_gguf(source):
        spec = gguf_config(source)
        return spec, gguf.places(spec)
    if source.is_file():
        try:
            spec = rwkv6.config_from_shapes(shapes)
        except KeyError as error:
            raise CheckpointError(f"{source} is not an RWKV-6 model: it has no {error}") from error
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{source} is not an RWKV-6 model: its tensors have other shapes ({error})"
            ) from error
        return spec, rwkv6.places_in_pth(spec)
    path = source / "config.json"
    raw = _raw(path)
    _check_depth(raw, len(shapes), str(path))
    spec, family = decoder_config(raw, where=str(path))
    return spec, family.places(spec)


def _check_counts(raw: Mapping[str, Any], where: str) -> None:
    """Accept numbers where numbers belong.

    Raises:
        CheckpointError: something else stands there.
    """
    for key in COUNTS:
        if key in raw and type(raw[key]) is not int:
            raise CheckpointError(
                f"{where}: {key} is {shown(raw[key])}, not a whole number; correct it"
            )


def _check_depth(raw: Mapping[str, Any], most: int, where: str) -> None:
    """Accept no more layers than that, before anything is made for each of them.

    Raises:
        CheckpointError: there are more.
    """
    for key in LAYERS:
        found = raw.get(key)
        if isinstance(found, int) and found > most:
            raise CheckpointError(
                f"{where}: {key} is {found}, and there may be at most {most}, one a "
                "tensor of the weights; it is damaged or another model's: fetch it again"
            )


def _raw(path: Path) -> Mapping[str, Any]:
    """What a `config.json` says."""
    if not path.is_file():
        raise CheckpointError(f"{path} is absent; is {path.parent} a checkpoint folder?")
    return read_settings(path, error=CheckpointError)


def family_module(source: Path) -> str:
    """The module of ours that knows the tensors of the checkpoint in a folder or file.

    Raises:
        CheckpointError: its configuration is absent or damaged, or of an unknown family.
    """
    if source.is_file():
        return gguf.__name__ if is_gguf(source) else rwkv6.__name__
    path = source / "config.json"
    return _family(_raw(path), str(path)).config.__module__


def family_modules() -> set[str]:
    """The modules of all families."""
    families = (NATIVE, MAMBA_SSM, *FAMILIES.values())
    return {gguf.__name__, *(family.config.__module__ for family in families)}
