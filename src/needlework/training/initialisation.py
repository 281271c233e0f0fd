"""First weights of a nano model: drawn in one order from one seed, so a seed names a model."""

from typing import Any, cast

import torch
from torch import nn

from needlework.models.convolution import CausalConvolution
from needlework.models.decoder import Decoder
from needlework.models.mixer import Mixer


@torch.no_grad()
def initialise(decoder: Decoder, seed: int) -> None:
    """Set every weight of `decoder`; the same seed gives the same bytes on one machine."""
    generator = torch.Generator().manual_seed(seed)
    width = decoder.config.width
    # Drawn small and multiplied by sqrt(width) when read; the head starts half as sure.
    decoder.embedding.weight.normal_(0, width**-0.5, generator=generator)
    decoder.head.weight.normal_(0, 0.5 * width**-0.5, generator=generator)
    mixers = [cast(Mixer[Any], layer.get_submodule("mixer")) for layer in decoder.layers]
    for mixer in mixers:
        for module in mixer.modules():
            if isinstance(module, nn.Linear):
                module.weight.normal_(0, module.in_features**-0.5, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, CausalConvolution):
                module.weight.uniform_(-0.5, 0.5, generator=generator)
        mixer.initialise(generator)
        # What writes into the residual stream starts small in deep models.
        mixer.output.weight.mul_((2 * len(mixers)) ** -0.5)
