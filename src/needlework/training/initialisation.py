"""First weights of a nano model: drawn in one order from one seed, so a seed names a model."""

from math import log, sqrt

import torch
from torch import Tensor, nn

from needlework.models.attention import Attention
from needlework.models.convolution import CausalConvolution
from needlework.models.decoder import Decoder
from needlework.models.mlp import MLP
from needlework.models.rglru import RGLRU, SHARPNESS
from needlework.models.rwkv6 import ChannelMix, TimeMix
from needlework.models.ssd import SSD


@torch.no_grad()
def initialise(decoder: Decoder, seed: int) -> None:
    """Set every weight of `decoder`; the same seed gives the same bytes on one machine."""
    generator = torch.Generator().manual_seed(seed)
    width = decoder.config.width
    # Drawn small and multiplied by sqrt(width) when read; the head starts half as sure.
    decoder.embedding.weight.normal_(0, width**-0.5, generator=generator)
    decoder.head.weight.normal_(0, 0.5 * width**-0.5, generator=generator)
    mixers = [layer.get_submodule("mixer") for layer in decoder.layers]
    for mixer in mixers:
        for module in mixer.modules():
            if isinstance(module, nn.Linear):
                module.weight.normal_(0, module.in_features**-0.5, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, CausalConvolution):
                module.weight.uniform_(-0.5, 0.5, generator=generator)
        _special(mixer, generator)
        _output(mixer).weight.mul_((2 * len(mixers)) ** -0.5)


def _output(mixer: nn.Module) -> nn.Linear:
    """The projection that writes into the residual stream; it starts small in deep models."""
    if isinstance(mixer, ChannelMix):
        return mixer.value
    assert isinstance(mixer, Attention | MLP | SSD | RGLRU | TimeMix)
    return mixer.project_out


def _special(mixer: nn.Module, generator: torch.Generator) -> None:
    """Decays, gates and shifts, in the ranges their papers start from."""
    if isinstance(mixer, SSD):
        step = _uniform(mixer.step_bias_H, log(0.001), log(0.1), generator).exp()
        mixer.step_bias_H.copy_(step + torch.log(-torch.expm1(-step)))
        mixer.log_rate_H.copy_(_uniform(mixer.log_rate_H, 1, 16, generator).log())
    elif isinstance(mixer, RGLRU):
        for gate_KII in (mixer.input_gate_KII, mixer.decay_gate_KII):
            gate_KII.normal_(0, sqrt(1 / gate_KII.shape[1]), generator=generator)
        # A decay whose square is uniform in [0.9, 0.999] squared, at an open gate (section 2.4).
        square = _uniform(mixer.decay_E, 0.9**2, 0.999**2, generator)
        mixer.decay_E.copy_(torch.log(torch.expm1(-0.5 * square.log() / SHARPNESS)))
    elif isinstance(mixer, TimeMix):
        for shift in (mixer.mix_D, mixer.mix_MD):
            shift.uniform_(0, 1, generator=generator)
        for factor in (mixer.mix_down, mixer.mix_up_MRD, mixer.decay_down, mixer.decay_up):
            factor.normal_(0, 0.01, generator=generator)
        channels = torch.linspace(0, 1, len(mixer.decay_D))
        mixer.decay_D.copy_(-6 + 5 * channels)
    elif isinstance(mixer, ChannelMix):
        mixer.mix_key_D.uniform_(0, 1, generator=generator)
        mixer.mix_receptance_D.uniform_(0, 1, generator=generator)


def _uniform(like: Tensor, low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.empty_like(like).uniform_(low, high, generator=generator)
