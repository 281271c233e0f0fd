"""What is kept of weights follows them, however they change."""

import copy
import gc
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from needlework.models import mixer
from needlework.models.mixer import derived


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def doubled(layer: nn.Linear) -> Tensor:
    return derived(layer, "doubled", lambda: 2 * layer.weight, layer.weight)


def replaced(layer: nn.Linear) -> None:
    layer.weight = nn.Parameter(torch.full_like(layer.weight, 4))


def loaded(layer: nn.Linear) -> None:
    layer.load_state_dict({"weight": torch.full_like(layer.weight, 5)})


def trained(layer: nn.Linear) -> None:
    with torch.enable_grad():
        layer(torch.ones(1, 3)).sum().backward()
    torch.optim.SGD(layer.parameters(), lr=1.0).step()


def swapped(layer: nn.Linear) -> None:
    layer.weight.data = torch.full_like(layer.weight.data, 7)


def one_entry(layer: nn.Linear) -> None:
    layer.weight[1, 1] += 1


CHANGES = [replaced, loaded, trained, swapped, one_entry, nn.Module.double, nn.Module.half]


@pytest.mark.parametrize("change", CHANGES)
def test_changed_weights_are_noticed(change: Callable[[nn.Linear], None]) -> None:
    layer = nn.Linear(3, 2, bias=False)
    before = doubled(layer)
    assert doubled(layer) is before
    for _ in range(3):
        change(layer)
        found = doubled(layer)
        assert torch.equal(found, 2 * layer.weight)
        assert found.dtype == layer.weight.dtype
        assert doubled(layer) is found


def test_a_copy_of_a_layer_has_what_follows_from_its_own_weights() -> None:
    """Of a copy, torch counts the changes anew: in time it would count as many."""
    layer = nn.Linear(3, 2, bias=False)
    for _ in range(2):
        one_entry(layer)
    doubled(layer)
    twin = copy.deepcopy(layer)
    for _ in range(3):
        one_entry(twin)
        assert torch.equal(doubled(twin), 2 * twin.weight)
    assert torch.equal(doubled(layer), 2 * layer.weight)


def test_of_weights_without_a_count_of_changes_nothing_is_kept() -> None:
    with torch.inference_mode():
        layer = nn.Linear(3, 2, bias=False)
        assert doubled(layer) is not doubled(layer)
        layer.weight.fill_(3)
        assert torch.equal(doubled(layer), 2 * layer.weight)


def test_where_gradients_are_wanted_nothing_is_kept() -> None:
    """What was kept would have a graph, through which gradients flow only once."""
    layer = nn.Linear(3, 2, bias=False)
    doubled(layer)
    with torch.enable_grad():
        for times in (1, 2):
            doubled(layer).sum().backward()
            assert torch.equal(layer.weight.grad, torch.full((2, 3), 2.0 * times))


def test_what_is_kept_goes_with_its_layer() -> None:
    before = len(mixer._kept)
    layer = nn.Linear(3, 2, bias=False)
    doubled(layer)
    assert len(mixer._kept) == before + 1
    del layer
    gc.collect()
    assert len(mixer._kept) == before
