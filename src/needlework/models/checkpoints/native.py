"""Our own format: `config.json` is the decoder's configuration, tensors have our names."""

from collections.abc import Mapping
from typing import Any

from needlework.models.allocation import without_memory
from needlework.models.checkpoints.accounting import Place, Places
from needlework.models.config import DecoderConfig


def decoder_config(raw: Mapping[str, Any]) -> DecoderConfig:
    """The decoder a `config.json` describes."""
    return DecoderConfig.model_validate(raw)


def places(spec: DecoderConfig) -> Places:
    """Every tensor is its own place; a tied head may be left out."""
    names = without_memory(spec).state_dict()
    found = {name: Place(name) for name in names}
    if spec.tied:
        found["head.weight"] = Place("embedding.weight", alias=True, optional=True)
    return found
