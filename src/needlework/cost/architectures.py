"""What kind of decoder a model entry stands for, without its weights and, if possible, torch."""

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Self

from pydantic import ValidationError

from needlework import installed
from needlework.cost.published import published
from needlework.door import read_settings
from needlework.errors import CheckpointError
from needlework.external.registry import DIRECTORY
from needlework.external.snapshots import Snapshot
from needlework.gguf_header import is_gguf
from needlework.models.config import DecoderConfig
from needlework.models.hazards import SWITCHES, with_hazards
from needlework.study.config import ModelEntry

CONFIG = "config.json"


class Weights(NamedTuple):
    """What of a model entry decides its cost."""

    checkpoint: str
    revision: str | None
    dtype: str
    hazards: tuple[str, ...]

    @classmethod
    def of(cls, entry: ModelEntry) -> Self:
        """Those of a model."""
        return cls(entry.checkpoint, entry.revision, entry.dtype, tuple(entry.hazards))


def architecture(weights: Weights) -> DecoderConfig | None:
    """The decoder of a model with the defects that are on, which may change how it reads.

    None where nothing here describes it: a hub id that is neither one of the published study nor in
    the local cache, a folder without `config.json`, a family that only transformers knows.
    """
    spec = _decoder(weights.checkpoint, weights.revision)
    if spec is None:
        return None
    wanted = [name for name in SWITCHES if name in weights.hazards]
    try:
        return with_hazards(spec, wanted)
    except CheckpointError:
        return None


@cache
def _decoder(checkpoint: str, revision: str | None) -> DecoderConfig | None:
    if (known := published(checkpoint)) is not None:
        return known
    if is_gguf(checkpoint):
        return _of_gguf(Path(checkpoint))
    path = _config_path(checkpoint, revision)
    if path is None:
        return None
    try:
        return _parsed(read_settings(path, error=CheckpointError), path)
    except (ValidationError, CheckpointError, OSError):
        return None  # Its own job says what is wrong with it, and other models go on.


def _of_gguf(path: Path) -> DecoderConfig | None:
    """The decoder that a GGUF file describes, by the reader that comes with torch."""
    if not path.is_file():
        return None
    from needlework.models.checkpoints import gguf_config

    try:
        return gguf_config(path)
    except CheckpointError:
        return None


def _config_path(checkpoint: str, revision: str | None) -> Path | None:
    """Where the configuration lies: in a folder, fetched, or in the hub's cache; None: nowhere."""
    local = installed.find(checkpoint) / CONFIG
    if local.is_file():
        return local
    if revision is None or checkpoint.count("/") != 1:
        return None
    fetched = DIRECTORY / Snapshot("checkpoints", checkpoint, revision).folder / CONFIG
    if fetched.is_file():
        return fetched
    # Imported here: the hub's client is slow to import and few studies need it.
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(checkpoint, CONFIG, revision=revision)
    return Path(cached) if isinstance(cached, str) else None


def _parsed(raw: dict[str, Any], path: Path) -> DecoderConfig:
    """Our own format is parsed as it is; the readers of others come with torch."""
    if raw.get("format") == "needlework":
        return DecoderConfig.model_validate(raw)
    from needlework.models.checkpoints import decoder_config

    spec, _ = decoder_config(raw, where=str(path))
    return spec
