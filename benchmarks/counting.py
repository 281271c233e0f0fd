"""Launches and bytes of forward calls at full size, counted on tensors that have no memory.

Every tensor lies on the device `meta`, so nothing is computed; packages with kernels run their own
Python, and each launch of theirs is told to the tally in place of being made. What torch does on
CUDA in one kernel, and elsewhere in many, counts as one.
"""

# Shapes: B batch, H heads, G key/value heads, T tokens, S cached columns, P channels per head.
import contextlib
import os
import sys
import types
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest import mock

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.nn import functional as F
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from needlework.models import attending, kernels

if TYPE_CHECKING:
    from triton.runtime.autotuner import Autotuner
    from triton.runtime.interpreter import GridExecutor

PRODUCTS = {"mm", "addmm", "bmm", "baddbmm"}
"""Matrix products, which are launches and whose bytes are left out."""
NO_LAUNCH = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"} | {
    "scalar_tensor"
}
OVERWRITING = {"copy_", "fill_", "zero_"}
"""In-place operations that do not read what they overwrite."""
PICKING = {"index_select": 0, "gather": 0, "index": 0, "embedding": 0}
"""Operations that read as much of this argument as they write."""
HALVES = (torch.float16, torch.bfloat16)


@dataclass
class Tally:
    """What has been launched."""

    launches: Counter[str] = field(default_factory=Counter)
    moved: Counter[str] = field(default_factory=Counter)
    """Bytes read and written by name, matrix products left out."""

    def add(self, name: str, moved: int) -> None:
        """One launch."""
        self.launches[name] += 1
        self.moved[name] += moved


_tally = Tally()


@contextlib.contextmanager
def counted() -> Iterator[Tally]:
    """The tally of everything launched inside the block, as on a GPU with all kernels."""
    global _tally
    before, _tally = _tally, Tally()
    try:
        with _Launches(), torch.no_grad():  # type: ignore[no-untyped-call]
            yield _tally
    finally:
        _tally = before


class _Launches(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Tells the tally of every operation of torch that is no view."""

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        del types
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if not any(map(torch.is_tensor, pytree.tree_leaves(result))):
            return result
        if not func.is_view and name not in NO_LAUNCH and not _aliases(func, result, args):
            inside = [each for each in pytree.tree_leaves((args, kwargs)) if torch.is_tensor(each)]
            _tally.add(name, 0 if name in PRODUCTS else _moved(name, func, inside, result))
        return result


def _aliases(func: OpOverload, result: object, args: tuple[object, ...]) -> bool:
    """Whether the operation only gave its argument another shape."""
    given = args[0] if args else None
    if func._schema.is_mutable or not (isinstance(result, Tensor) and isinstance(given, Tensor)):
        return False
    return bool(result.untyped_storage()._cdata == given.untyped_storage()._cdata)


def _moved(name: str, func: OpOverload, inside: list[Tensor], result: object) -> int:
    if func._schema.is_mutable:
        read = inside[1:] if name in OVERWRITING else inside
        if name in ("scatter_", "index_copy_", "index_put_"):
            return sum(map(held, inside[1:])) + held(inside[-1])
        return sum(map(held, read)) + held(inside[0])
    written = sum(held(each) for each in pytree.tree_leaves(result) if torch.is_tensor(each))
    if name in PICKING:
        return 2 * written + sum(map(held, inside[1:]))
    return written + sum(map(held, inside))


def held(tensor: Tensor) -> int:
    """Bytes of a tensor, what it repeats counted once."""
    sizes = [size for size, step in zip(tensor.shape, tensor.stride(), strict=True) if step]
    return int(torch.Size(sizes).numel()) * tensor.element_size() if tensor.numel() else 0


@contextlib.contextmanager
def as_on_a_gpu() -> Iterator[None]:
    """Kernels are chosen for tensors without memory, and launches of theirs are counted."""
    _import_packages()
    with contextlib.ExitStack() as stack:
        for target, name, replacement in _replacements():
            stack.enter_context(mock.patch.object(target, name, replacement))
        yield


def _import_packages() -> None:
    """Import everything that has kernels, with stand-ins for what is compiled."""
    os.environ["TRITON_INTERPRET"] = "1"
    for module in ("selective_scan_cuda", "causal_conv1d_cuda", "flash_attn_2_cuda"):
        sys.modules[module] = _Compiled(module)
    with warnings.catch_warnings():
        # That there is no GPU, and what torch's own compiler says of itself.
        warnings.simplefilter("ignore")
        for kernel in kernels.KERNELS.values():
            kernels.import_failure(kernel.module)


class _Compiled(types.ModuleType):
    """A compiled module none of whose functions is called."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


def _replacements() -> Iterator[tuple[Any, str, Callable[..., Any]]]:
    from triton.runtime import autotuner, interpreter

    yield kernels, "accelerated", lambda _: True
    yield attending, "_to_the_end", lambda *_: None
    yield torch.cuda, "device", lambda _: contextlib.nullcontext()
    yield interpreter.GridExecutor, "__call__", _launch
    yield autotuner.Autotuner, "run", _run_first
    yield F, "scaled_dot_product_attention", _attention_of_torch
    yield F, "rms_norm", _rms_norm_of_cuda
    if kernels.installed("causal_conv1d"):
        from causal_conv1d import causal_conv1d_interface

        yield causal_conv1d_interface, "causal_conv1d_fwd_function", _convolution
    if kernels.installed("flash_attn"):
        from flash_attn import flash_attn_interface

        yield flash_attn_interface, "_wrapped_flash_attn_forward", _flash_attention


def _launch(self: "GridExecutor", *args: object, **kwargs: object) -> None:
    """A launch of Triton: every argument is read or written at least once."""
    given = [each for each in (*args, *kwargs.values()) if torch.is_tensor(each)]
    _tally.add(self.fn.__name__, sum(map(held, given)))


def _run_first(self: "Autotuner", *args: object, **kwargs: object) -> object:
    """An autotuned launch; every configuration computes the same."""
    return self.fn.run(*args, **kwargs, **self.configs[0].all_kwargs())


def _attention_of_torch(
    q_BHTP: Tensor,
    k_BGSP: Tensor,
    v_BGSP: Tensor,
    *,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    enable_gqa: bool = False,
) -> Tensor:
    """One kernel; with a mask, which becomes numbers first, and never with keys shared by heads."""
    del is_causal
    plain = attn_mask is None and q_BHTP.dtype in HALVES and q_BHTP.shape[-1] <= 256
    assert plain or not enable_gqa, "torch's math kernel writes the scores of all pairs down"
    out = torch.empty_like(q_BHTP)
    moved = held(q_BHTP) + held(k_BGSP) + held(v_BGSP) + held(out)
    if attn_mask is not None:
        numbers = attn_mask.numel() * q_BHTP.element_size()
        _tally.add("mask to numbers", held(attn_mask) + numbers)
        moved += numbers
    _tally.add("attention of torch", moved)
    return out


def _rms_norm_of_cuda(
    x: Tensor, shape: tuple[int, ...], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """One kernel where both have one dtype, as torch 2.10 has it."""
    if weight is not None and weight.dtype is not x.dtype:
        return torch.rms_norm(x, shape, weight, eps)
    out = torch.empty_like(x)
    _tally.add("rms_norm", held(x) + held(out) + (0 if weight is None else held(weight)))
    return out


def _convolution(
    x_BCT: Tensor,
    weight_CK: Tensor,
    bias_C: Tensor | None,
    seq_idx: None,
    initial: Tensor | None,
    final: Tensor | None,
    silu: bool,
) -> Tensor:
    """The call of causal-conv1d."""
    del seq_idx, silu
    out = torch.empty_like(x_BCT)
    given = [x_BCT, weight_CK, bias_C, initial, final, out]
    _tally.add("causal_conv1d", sum(held(each) for each in given if each is not None))
    return out


def _flash_attention(
    q_BTHP: Tensor, k_BSGP: Tensor, v_BSGP: Tensor, *settings: object, **named: object
) -> tuple[Tensor, ...]:
    """The call of flash-attn."""
    del settings, named
    out = torch.empty_like(q_BTHP)
    _tally.add("flash-attn", sum(map(held, (q_BTHP, k_BSGP, v_BSGP, out))))
    return out, out.new_empty(0), out.new_empty(0), out.new_empty(0)
