"""Memory for a decoder that was made without any."""

import errno
import os
from collections.abc import Iterator

import torch
from torch import nn

from needlework.models.decoder import Decoder
from needlework.models.mixer import Mixer


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out: CUDA has a class for it, the CPU only words."""
    words = str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError)
        and ("not enough memory" in words or os.strerror(errno.ENOMEM) in words)
    )


def kept_as(module: nn.Module, name: str, dtype: torch.dtype) -> torch.dtype:
    """The dtype of a module's own parameter in a model of `dtype`."""
    is_wide = isinstance(module, Mixer) and name in module.wide
    return torch.promote_types(dtype, torch.float32) if is_wide else dtype


def own_parameters(module: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Parameter]]:
    """Every parameter below a module, with the module that holds it and its name there."""
    for holder in module.modules():
        for name, parameter in list(holder.named_parameters(recurse=False)):
            yield holder, name, parameter


def allocate(decoder: Decoder, device: str, dtype: torch.dtype) -> None:
    """Give every parameter memory; what is tied stays tied."""
    for module, name, parameter in own_parameters(decoder):
        fresh = torch.empty(parameter.shape, dtype=kept_as(module, name, dtype), device=device)
        setattr(module, name, nn.Parameter(fresh, requires_grad=False))
    if decoder.config.tied:
        decoder.head.weight = decoder.embedding.weight
