"""Every test here computes as on a GPU: with all kernels, and with torch's own limits there."""

from collections.abc import Iterator

import pytest
import torch
from torch.nn import functional as F

from needlework.models import kernels


@pytest.fixture(autouse=True)
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from tests.kernels.extensions import attention_of_cuda

    monkeypatch.setattr(kernels, "accelerated", lambda device: True)
    monkeypatch.setattr(F, "scaled_dot_product_attention", attention_of_cuda)
    with torch.inference_mode():
        yield


@pytest.fixture(autouse=True)
def no_races(as_on_a_gpu: None) -> Iterator[None]:
    """No kernel that a test has launched may load what the same launch has stored."""
    from tests.kernels.interpreter import races

    races.found.clear()
    yield
    assert not races.found
