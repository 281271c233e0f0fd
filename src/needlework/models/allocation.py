"""Memory for a decoder that was made without any, and which of its parameters stay wide."""

import errno
import os

import torch

from needlework.models.decoder import Decoder

WIDE = ("step_bias_H", "log_rate_H", "skip_H", "decay_E", "decay_D", "bonus_HK")
"""Parameters kept in float32 at least: in half precision a decay of 0.999 rounds to 1."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out: CUDA has a class for it, the CPU only words."""
    words = str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError)
        and ("not enough memory" in words or os.strerror(errno.ENOMEM) in words)
    )


def kept_as(name: str, dtype: torch.dtype) -> torch.dtype:
    """The dtype of a parameter, by the last part of its name, in a model of `dtype`."""
    return torch.promote_types(dtype, torch.float32) if name in WIDE else dtype


def allocate(decoder: Decoder, device: str, dtype: torch.dtype) -> None:
    """Give every parameter memory; what is tied stays tied."""
    for module in decoder.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            fresh = torch.empty(parameter.shape, dtype=kept_as(name, dtype), device=device)
            setattr(module, name, torch.nn.Parameter(fresh, requires_grad=False))
    if decoder.config.tied:
        decoder.head.weight = decoder.embedding.weight
