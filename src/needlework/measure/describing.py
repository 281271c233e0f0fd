"""What is needed to know of a model before it can be measured, found in the model itself.

Each value is reported with the file it was read from; nothing is assumed silently.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from needlework import installed, tokenizers
from needlework.cost.architectures import CONFIG, Weights, architecture
from needlework.door import read_json
from needlework.errors import ResourceError, StudyError
from needlework.external.snapshots import is_hub_id
from needlework.gguf_header import SUFFIX, is_gguf, quantisation_of, read_header
from needlework.models.config import MLP, Attention, ChannelMix, DecoderConfig
from needlework.parsing import parse, unknown
from needlework.study.config import Entries, ModelEntry, Models
from needlework.study.entries import Family, TokenizerEntry, Wrappers
from needlework.tasks import chat
from needlework.terminal import printable
from needlework.tokenizers.sidecars import Sidecars

LENGTHS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")
"""Keys of `config.json` that tell the context length of the training, first come first served."""
SIDECAR, SIDECAR_LENGTH = "tokenizer_config.json", "model_max_length"
LONGEST = 10_000_000
"""Tokens; tokenizers without a limit say more."""
LONGEST_LICENCE = 200
"""Characters of what a file says of its licence."""
PROBE = "What is the special magic number for the city?"
"""Words of no closed vocabulary but that of a language of its own."""
ENTRY = (
    "describe it in config/models.yaml (`needlework init` writes one) and measure it by its name"
)
"""The way out for a model that does not tell enough."""


class Described(NamedTuple):
    """A model that can be measured."""

    name: str
    """Its entry."""
    entry: ModelEntry
    entries: Entries | None
    """Where models.yaml has no entry for it."""
    material: Literal["nano", "english"]
    said: tuple[str, ...]
    """What was taken, and from where, a line each."""


def describe(
    model: str, catalogue: Models, *, fetch: Callable[[str], Path], dtype: str
) -> Described:
    """The model that a person means by the name of an entry, a folder, a file or a hub id.

    `fetch` gets a repository of the hub and says where it lies; weights are computed in `dtype`.

    Raises:
        StudyError: there is no such model, or it does not say how long it was trained.
        ResourceError: it has no tokenizer, or the hub does not give it.
    """
    names = [name for name, each in catalogue.models.items() if model in (name, each.checkpoint)]
    if names:
        return _listed(names[0], catalogue)
    if Path(model).exists():
        return _found(model, Path(model), dtype=dtype)
    if not is_hub_id(model):
        raise StudyError(
            f"MODEL: {unknown(model, catalogue.models)}; or name a folder or file that exists, or "
            "a hub id (OWNER/NAME)"
        )
    return _found(model, fetch(model), dtype=dtype)


def _listed(name: str, catalogue: Models) -> Described:
    entry = catalogue.models[name]
    tokenizer = catalogue.tokenizers[entry.tokenizer].source
    said = (
        f"{name} of models.yaml: {entry.checkpoint}, trained at {entry.trained_length:,} tokens, "
        f"family {entry.family}, tokenizer {tokenizer}, wrapper {entry.wrapper.corrected}",
    )
    material = _material(tokenizer) if installed.find(tokenizer).exists() else "english"
    return Described(name, entry, None, material, said)


def _found(model: str, place: Path, *, dtype: str) -> Described:
    """A model that no entry describes, from its own files."""
    trained, told = _trained_length(model, place)
    spec = architecture(Weights(str(place), None, dtype, ()))
    family, backend = _family(spec), "needlework" if spec else "transformers"
    wrapper, asked = _wrapper(place)
    name = slug(model)
    label = Path(model).stem if is_gguf(model) else Path(model).name or name
    entry = parse(
        ModelEntry,
        {
            "label": printable(label),
            "family": family,
            "checkpoint": model,
            "tokenizer": name,
            "wrapper": Wrappers(released="base", corrected=wrapper),
            "trained_length": trained,
            "backend": backend,
            "dtype": dtype,
            "licence": _licence(place),
        },
        where=printable(model),
    )
    said = (
        f"weights: {model}, {_rounded(place)}read by {'our decoder' if spec else 'transformers'}, "
        f"{dtype}, family {family}",
        f"trained length: {trained:,} tokens ({told})",
        f"tokenizer: that of {place}",
        asked,
    )
    entries = Entries(tokenizers={name: TokenizerEntry(source=model)}, models={name: entry})
    return Described(name, entry, entries, _material(str(place)), said)


def slug(model: str) -> str:
    """A name for a model without one, from its path or hub id."""
    path = Path(model).resolve()
    words = (path.stem if path.is_file() else path.name) if path.exists() else model
    return re.sub(r"[^a-z0-9_.-]+", "-", words.lower()).strip("-._") or "model"


def _licence(place: Path) -> str:
    """What a GGUF file says of its licence; folders do not."""
    said = read_header(place).settings.get("general.license") if is_gguf(place) else None
    return printable(str(said))[:LONGEST_LICENCE] if said else "not told"


def _rounded(place: Path) -> str:
    """What to say of weights that are not the ones that were trained."""
    kind = quantisation_of(place)
    return f"rounded to {kind}, " if kind else ""


def _family(spec: DecoderConfig | None) -> Family:
    """What kind of memory a decoder has."""
    if spec is None:
        return "unknown"
    kinds = {
        isinstance(layer, Attention)
        for layer in spec.layers
        if not isinstance(layer, MLP | ChannelMix)
    }
    if len(kinds) == 2:
        return "hybrid"
    return "attention" if kinds == {True} else "linear"


def _trained_length(model: str, place: Path) -> tuple[int, str]:
    """The context length of the training in tokens, and what told it."""
    if is_gguf(place):
        header = read_header(place)
        key = f"{header.architecture}.context_length"
        return int(header.require(key)), key
    settings = _settings(place)
    for key in LENGTHS:
        if isinstance(settings.get(key), int):
            return settings[key], f"{CONFIG}: {key}"
    limit = Sidecars(place).config.get(SIDECAR_LENGTH)
    if isinstance(limit, int) and 0 < limit < LONGEST:
        return limit, f"{SIDECAR}: {SIDECAR_LENGTH}"
    raise StudyError(
        f"{model} does not say how long a context it was trained with ({CONFIG} has none of "
        f"{', '.join(LENGTHS)}); {ENTRY}"
    )


def _settings(place: Path) -> Mapping[str, Any]:
    """What a `config.json` says; of a model of several parts, its text model."""
    if place.is_file():
        raise StudyError(
            f"{place} does not tell its tokenizer and how long a context it was trained with; "
            f"{ENTRY}"
        )
    path = place / CONFIG
    if files := sorted(each.name for each in place.glob(f"*{SUFFIX}") if not path.exists()):
        raise StudyError(f"{place} has no {CONFIG}; name the file in it: {', '.join(files)}")
    try:
        found = read_json(path, error=StudyError, kind=dict, way_out="is this a checkpoint?")
    except OSError as error:
        raise StudyError(f"{path} cannot be read ({error}); is this a checkpoint?") from error
    inner = found.get("text_config")
    return found | inner if isinstance(inner, dict) else found


def _wrapper(place: Path) -> tuple[str, str]:
    """The prompt format of a tokenizer, and what to say of it."""
    try:
        chat.wrapper(str(place), revision=None)
    except ResourceError as error:
        reason = str(error).partition(";")[0]
        return "base", f"questions stand alone, without a prompt format: {reason}"
    return "chat", "questions are asked in the tokenizer's chat template"


def _material(tokenizer: str) -> Literal["nano", "english"]:
    """The language that a tokenizer reads: one of whole words reads its own alone."""
    loaded = tokenizers.load(tokenizer)
    try:
        loaded.encode(PROBE)
    except ResourceError:
        return "nano"
    return "english"
