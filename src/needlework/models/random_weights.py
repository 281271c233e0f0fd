"""Layers and decoders with random weights that remember for thousands of tokens.

As modules make themselves, a layer forgets within a chunk, and no error in what is carried between
chunks would show.
"""

from typing import Any

import torch
from torch import Tensor, nn

from needlework.models.allocation import kept_as
from needlework.models.config import DecoderConfig, MixerConfig
from needlework.models.decoder import MIXERS, Decoder
from needlework.models.mixer import Mixer

SLOW = {"log_rate_H": (-6.5, -4.5), "decay_E": (-8.0, -6.0), "decay_D": (-7.0, -4.6)}
"""Ranges of the parameters that decide how fast a layer forgets: decays of 0.99 to 0.999."""
NOISE = 0.05
"""Standard deviation around what modules start all parameters of a tensor from."""


@torch.inference_mode(False)
def random_layer(
    spec: MixerConfig, width: int, *, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> Mixer[Any]:
    """One layer; equal arguments give equal weights, up to their dtype."""
    torch.manual_seed(0)
    with torch.device(device):
        layer = MIXERS[type(spec)](width, spec)
    _prepare(layer, dtype)
    return layer.eval()


@torch.inference_mode(False)
def random_decoder(
    spec: DecoderConfig, *, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> Decoder:
    """A whole decoder; made in float32 on its device, then stored as a checkpoint is."""
    torch.manual_seed(0)
    with torch.device(device):
        decoder = Decoder(spec)
    _prepare(decoder, dtype)
    if spec.tied:
        decoder.head.weight = decoder.embedding.weight
    return decoder.eval()


@torch.no_grad()
def _prepare(module: nn.Module, dtype: torch.dtype) -> None:
    for part in module.modules():
        for name, parameter in list(part.named_parameters(recurse=False)):
            values = _drawn(part, name, parameter.data).to(kept_as(part, name, dtype))
            setattr(part, name, nn.Parameter(values, requires_grad=False))


def _drawn(part: nn.Module, name: str, values: Tensor) -> Tensor:
    if name in SLOW:
        return values.uniform_(*SLOW[name])
    if isinstance(part, nn.Embedding):
        # A head that is the embedding then has logits of the size of one.
        return values.mul_(values.shape[1] ** -0.5)
    if values.min() == values.max():
        return values.add_(torch.randn_like(values), alpha=NOISE)
    return values
