"""The packages' own Triton kernels on CPU tensors: Triton's interpreter, mended where it stops.

Importing this module installs what is mended; nothing of it changes what a kernel computes. Where
triton is missing, or does not interpret, the importing module of tests is skipped.
"""

import ast
import contextlib
import importlib.util
import os
import sys
import types
import warnings
from collections.abc import Iterator

import pytest

if os.environ.get("TRITON_INTERPRET") != "1" or not importlib.util.find_spec("triton"):
    pytest.skip("`make test-kernels` runs these, in .venv-kernels", allow_module_level=True)

import numpy as np
import torch
from triton import language
from triton.runtime import autotuner, interpreter

from tests.kernels import extensions

KERNELS = [
    pytest.mark.kernels,
    # Powers and sums in places that a mask throws away afterwards.
    pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning"),
]
"""The marks of a module of tests that uses the interpreter."""
LOW_BITS = np.uint32(0x1FFF)
"""What TF32 drops of a float32: 13 of its 23 bits of fraction."""

configuration = -1
"""Which of its configurations an autotuned kernel runs with; the last has the smallest blocks."""


# A CPU tensor has the device index None, for which there is nothing to switch.
_switch_device = torch.cuda.device


def _switch_to(index: int | None) -> contextlib.AbstractContextManager:
    return contextlib.nullcontext() if index is None else _switch_device(index)


# Timing configurations needs a GPU; all compute the same function, and hooks still clear outputs.
def _run_one_configuration(self: autotuner.Autotuner, *args: object, **kwargs: object) -> object:
    config = self.configs[configuration % len(self.configs)]
    self.nargs = dict(zip(self.arg_names, args, strict=False))
    settings = config.all_kwargs()
    if config.pre_hook is not None:
        config.pre_hook({**self.nargs, **kwargs, **settings})
    return self.fn.run(*args, **kwargs, **settings)


class LoopsOverTensors(interpreter.ASTTransformer):
    """A loop variable is a tensor when compiled (fla calls its `to`), interpreted a Python int."""

    def visit_For(self, node: ast.For) -> ast.For:
        self.generic_visit(node)
        if isinstance(node.iter, ast.Call) and getattr(node.iter.func, "id", None) == "range":
            node.iter.func.id = "_range_of_tensors"
        return node


def _range_of_tensors(*bounds: object) -> Iterator[object]:
    for value in range(*(int(bound) for bound in bounds)):
        yield interpreter.interpreter_semantic.to_tensor(value, False)


# Triton 3.6 converts arrays of one element by int(), which NumPy 2.4 refuses.
_patch_tensor = interpreter._patch_lang_tensor


def _patch_tensor_for_numpy(tensor: object, scope: object) -> None:
    _patch_tensor(tensor, scope)
    scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))


# bfloat16 is kept as uint16, and would be multiplied as such; float32 can be cut to TF32.
_dot = interpreter.InterpreterBuilder.create_dot
_cuts_to_tf32 = False


def _factor(handle: interpreter.TensorHandle) -> interpreter.TensorHandle:
    if handle.dtype == language.bfloat16:
        wide = (handle.data.astype(np.uint32) << 16).view(np.float32)
        return interpreter.TensorHandle(wide, language.float32)
    if _cuts_to_tf32 and handle.data.dtype == np.float32:
        bits = np.ascontiguousarray(handle.data).view(np.uint32) & ~LOW_BITS
        return interpreter.TensorHandle(bits.view(np.float32), handle.dtype)
    return handle


def _dot_of_any_dtype(
    self: object, a: interpreter.TensorHandle, b: interpreter.TensorHandle, *rest: object
) -> interpreter.TensorHandle:
    return _dot(self, _factor(a), _factor(b), *rest)


@contextlib.contextmanager
def tf32() -> Iterator[None]:
    """Products of float32 as tensor cores make them: what TF32 has no room for is cut off."""
    global _cuts_to_tf32
    _cuts_to_tf32 = True
    try:
        yield
    finally:
        _cuts_to_tf32 = False


class Races:
    """Loads from addresses that an earlier statement of the same launch has stored to.

    The interpreter runs one program after the other and each as one thread, so such a load finds
    what was stored. On a GPU another warp, or another program, may not have stored it yet.
    """

    def __init__(self) -> None:
        self.found: set[str] = set()
        self._kernel = ""
        self._stored: dict[tuple[int, int], np.ndarray | None] = {}

    def launch(self, kernel: str, arguments: list[object]) -> None:
        """Forget what other launches have stored: the next one waits for them."""
        self._kernel = kernel
        storages = [each.untyped_storage() for each in arguments if isinstance(each, torch.Tensor)]
        self._stored = {
            (each.data_ptr(), each.data_ptr() + each.nbytes()): None for each in storages
        }

    def barrier(self) -> None:
        """Everything stored before is seen by the whole program."""
        self._stored = dict.fromkeys(self._stored)

    def store(self, addresses: np.ndarray) -> None:
        """Remember what was stored."""
        span = self._span(addresses)
        if self._stored[span] is None:
            self._stored[span] = np.zeros(span[1] - span[0], dtype=bool)
        self._stored[span][addresses - span[0]] = True

    def load(self, addresses: np.ndarray) -> None:
        """Note the kernel that loads what it has stored."""
        stored = self._stored[self._span(addresses)]
        if stored is not None and stored[addresses - self._span(addresses)[0]].any():
            self.found.add(self._kernel)

    def _span(self, addresses: np.ndarray) -> tuple[int, int]:
        """The tensor that these addresses, all of one access, lie in."""
        low, high = int(addresses.min()), int(addresses.max())
        for span in self._stored:
            if span[0] <= low and high < span[1]:
                return span
        raise IndexError(f"{self._kernel} reads or writes outside of its arguments")


races = Races()
_launch = interpreter.GridExecutor.__call__
_load = interpreter.InterpreterBuilder.create_masked_load
_store = interpreter.InterpreterBuilder.create_masked_store


def _watched_launch(self: interpreter.GridExecutor, *args: object, **kwargs: object) -> None:
    races.launch(self.fn.__name__, [*args, *kwargs.values()])
    _launch(self, *args, **kwargs)


def _addresses(pointers: interpreter.TensorHandle, mask: interpreter.TensorHandle) -> np.ndarray:
    where = np.broadcast_to(mask.data.astype(bool), pointers.data.shape)
    return pointers.data[where].astype(np.int64)


def _watched_load(self: object, pointers: object, mask: object, *rest: object) -> object:
    if (addresses := _addresses(pointers, mask)).size:
        races.load(addresses)
    return _load(self, pointers, mask, *rest)


def _watched_store(
    self: object, pointers: object, value: object, mask: object, *rest: object
) -> object:
    if (addresses := _addresses(pointers, mask)).size:
        races.store(addresses)
    return _store(self, pointers, value, mask, *rest)


torch.cuda.device = _switch_to
autotuner.Autotuner.run = _run_one_configuration
interpreter._range_of_tensors = _range_of_tensors
interpreter.FunctionRewriter.ast_transformer = LoopsOverTensors()
interpreter._patch_lang_tensor = _patch_tensor_for_numpy
interpreter.InterpreterBuilder.create_dot = _dot_of_any_dtype
interpreter.InterpreterBuilder.create_masked_load = _watched_load
interpreter.InterpreterBuilder.create_masked_store = _watched_store
interpreter.InterpreterBuilder.create_barrier = lambda self: races.barrier()
interpreter.GridExecutor.__call__ = _watched_launch
# mamba-ssm imports the extension of Mamba-1 unconditionally; nothing here calls it.
sys.modules["selective_scan_cuda"] = types.ModuleType("selective_scan_cuda")
extensions.install()
with warnings.catch_warnings():
    # That there is no GPU, and what torch's own compiler says of itself.
    warnings.simplefilter("ignore")
    import fla.ops.hgrn
    import fla.ops.rwkv6  # noqa: F401
    import mamba_ssm.ops.triton.selective_state_update
    import mamba_ssm.ops.triton.ssd_combined  # noqa: F401
