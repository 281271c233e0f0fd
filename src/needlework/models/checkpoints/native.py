"""Our own format: `config.json` is the decoder's configuration, tensors have our names."""

from collections.abc import Mapping
from typing import Any

import torch

from needlework.models.checkpoints.accounting import Place, Places
from needlework.models.config import DecoderConfig
from needlework.models.decoder import Decoder


def decoder_config(raw: Mapping[str, Any]) -> DecoderConfig:
    """The decoder a `config.json` describes."""
    return DecoderConfig.model_validate(raw)


def places(spec: DecoderConfig) -> Places:
    """Every tensor is its own place; a tied head may be left out."""
    with torch.device("meta"):
        names = Decoder(spec).state_dict()
    found = {name: Place(name) for name in names}
    if spec.tied:
        found["head.weight"] = Place("embedding.weight", alias=True, optional=True)
    return found
