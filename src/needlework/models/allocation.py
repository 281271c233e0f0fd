"""A decoder without memory, and memory for it."""

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from needlework.models.config import DecoderConfig
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


_DRAWS = (Tensor.normal_, Tensor.uniform_, nn.init.normal_, nn.init.uniform_)


class _Undrawn(TorchFunctionMode):
    """Within, no number is drawn at random.

    On the device `meta` torch would import its compiler to draw none, a second for every job.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - of any function of torch
        """What the function gives; of those that draw, the tensor as it is."""
        given = kwargs or {}
        if func in _DRAWS:
            return args[0] if args else given["tensor"]
        return func(*args, **given)


def without_memory(spec: DecoderConfig) -> Decoder:
    """A decoder on the device `meta`: all of its shapes, and no values."""
    with _Undrawn(), torch.device("meta"):
        return Decoder(spec)


def allocate(decoder: Decoder, device: str, dtype: torch.dtype) -> None:
    """Give every parameter memory; what is tied stays tied."""
    for module, name, parameter in own_parameters(decoder):
        fresh = torch.empty(parameter.shape, dtype=kept_as(module, name, dtype), device=device)
        setattr(module, name, nn.Parameter(fresh, requires_grad=False))
    if decoder.config.tied:
        decoder.head.weight = decoder.embedding.weight
