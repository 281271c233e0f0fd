"""What records steps where there is no CUDA: a tape of operations, as blind as a graph."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from needlework.engine import decode, recording, running
from needlework.engine.recording import Run

FROM_HOST = torch.ops.aten.lift_fresh.default
TO_HOST = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.equal.default)


class Tape(TorchDispatchMode):
    """Operations and the memory they were given: numbers of the host stay as they were.

    As a graph does, it refuses to copy from the host's memory or to ask for a number.
    """

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[Callable[..., Any], Any, Any, Any]] = []
        self.before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is FROM_HOST or func in TO_HOST:
            raise RuntimeError(f"operation not permitted when stream is capturing: {func}")
        kwargs = kwargs or {}
        if func._schema.is_mutable:
            for each in tensors((args, kwargs)):
                storage = each.untyped_storage()
                self.before.setdefault(storage.data_ptr(), (storage, storage.clone()))
        out = func(*args, **kwargs)
        self.done.append((func, args, kwargs, out))
        return out

    def undo(self) -> None:
        """While it is recorded, a graph does nothing."""
        for storage, old in self.before.values():
            storage.copy_(old)
        self.before.clear()

    def replay(self) -> None:
        for func, args, kwargs, out in self.done:
            given = {each.untyped_storage().data_ptr() for each in tensors((args, kwargs))}
            found = func(*args, **kwargs)
            for new, place in zip(tensors(found), tensors(out), strict=True):
                if place.untyped_storage().data_ptr() not in given:
                    place.copy_(new)


def tensors(tree: Any) -> list[Tensor]:
    return [each for each in tree_leaves(tree) if isinstance(each, Tensor)]


class Tapes:
    """A recorder that counts what it has recorded and replayed."""

    def __init__(self) -> None:
        self.recorded = 0
        self.replayed = 0

    def record(self, run: Run) -> Run:
        tape = Tape()
        try:
            with tape:
                run()
        finally:
            tape.undo()
        self.recorded += 1

        def replay() -> None:
            self.replayed += 1
            tape.replay()

        return replay


def record_with(
    monkeypatch: pytest.MonkeyPatch, recorder: recording.Recorder, unseen: int = 4
) -> None:
    """Let steps be recorded on this machine, so many to a block."""
    monkeypatch.setattr(recording, "recorder_for", lambda decoder: recorder)
    for module in (decode, running):
        monkeypatch.setattr(module, "unseen_tokens", lambda decoder: unseen)
