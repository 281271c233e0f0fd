"""Layers against float64: what is compared, and that layers remember for thousands of tokens."""

from typing import Any

import pytest
import torch

from needlework.errors import EngineError
from needlework.models.attention import AttentionState, ConvolutionTail
from needlework.models.key_values import KeyValueState
from needlework.models.random_weights import SLOW, random_decoder, random_layer
from needlework.models.ssd import SSD
from needlework.proving import checking
from needlework.proving.records import Check
from needlework.proving.steps import TOY, layers
from tests.models_for_tests import FAMILIES, family

RECURRENT = ("selective scan", "diagonal scan", "time mixing")


@pytest.mark.parametrize("name", RECURRENT)
def test_a_layer_remembers_its_first_tokens_for_thousands(name: str) -> None:
    """With weights as modules make them nothing older than 16 tokens would be left."""
    width, spec = layers(TOY)[name]
    layer = random_layer(spec, width)
    torch.manual_seed(0)
    x_BTD = torch.randn(1, 1000, width)
    other_BTD = x_BTD.clone()
    other_BTD[:, :50] = torch.randn(1, 50, width)
    with torch.inference_mode():
        ours, _ = layer(x_BTD, layer.init_state(1), None)
        theirs, _ = layer(other_BTD, layer.init_state(1), None)
    difference = (ours - theirs)[:, -1].abs().max() / ours.abs().max()
    assert difference > checking.SHARE["float32"]


@pytest.mark.parametrize("name", list(layers(TOY)))
def test_equal_arguments_give_equal_layers(name: str) -> None:
    width, spec = layers(TOY)[name]
    first = random_layer(spec, width)
    second = random_layer(spec, width)
    for ours, theirs in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_random_decoder_is_stored_as_a_checkpoint_is(name: str) -> None:
    spec = family(name).config
    decoder = random_decoder(spec, dtype=torch.bfloat16)
    wide = {
        key.rpartition(".")[2]
        for key, each in decoder.named_parameters()
        if each.dtype.itemsize == 4
    }
    assert wide <= set(SLOW) | {"step_bias_H", "skip_H", "bonus_HK"}
    assert (decoder.head.weight is decoder.embedding.weight) == spec.tied
    logits, _ = decoder(torch.arange(30)[None], decoder.init_state(1))
    assert torch.isfinite(logits).all()


def test_keys_that_no_row_uses_are_not_compared() -> None:
    cache = KeyValueState.empty(2, 1, 3, torch.zeros(1))
    ones, none = torch.ones(2, 1, 4, 3), torch.zeros(2, 0)
    cache = cache.append(ones, ones, torch.tensor([4, 2]))
    state = AttentionState(cache, ConvolutionTail(none, none))
    keys, values, other_keys, _ = checking.state_tensors(state)
    assert keys.sum() == values.sum() == 12
    assert other_keys.sum() == 6


def test_a_layer_that_is_wrong_is_seen_with_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = SSD.forward

    def wrong(self: SSD, x: torch.Tensor, state: Any, lengths: Any = None) -> Any:
        y_BTD, state = forward(self, x, state, lengths)
        if x.dtype is torch.float32 and x.shape[1] > 50:
            y_BTD[:, 50:] *= 1.02
        return y_BTD, state

    monkeypatch.setattr(SSD, "forward", wrong)
    monkeypatch.setattr(checking, "PADDED", (7, 1, 5))
    found = checking.check_kernels(TOY, "selective scan")
    assert {check.tokens for check in found.checks if not check.passed} == {70}
    assert found.worst.tokens == 70


def test_a_layer_that_changes_its_state_in_place_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forward = SSD.forward

    def wrong(self: SSD, x: torch.Tensor, state: Any, lengths: Any = None) -> Any:
        result = forward(self, x, state, lengths)
        state.state_BHPN.add_(0.5)
        return result

    monkeypatch.setattr(SSD, "forward", wrong)
    with pytest.raises(EngineError, match="changed the state it was given"):
        checking.check_kernels(TOY, "selective scan")


@pytest.mark.parametrize("name", list(layers(TOY)))
def test_a_layer_in_half_precision_is_checked_as_well(name: str) -> None:
    """Its decays are float32, which must not be taken for the dtype of its inputs."""
    found = checking.check_kernels(TOY._replace(dtypes=("bfloat16",), tokens=(1, 17)), name)
    assert [check.dtype for check in found.checks] == ["bfloat16", "bfloat16"]
    assert all(1e-4 < check.difference <= check.allowed for check in found.checks)


def test_what_is_not_a_number_is_not_near() -> None:
    nan = torch.tensor([float("nan"), 1.0])
    difference = checking.largest_share([torch.ones(2), nan], [torch.ones(2), torch.ones(2)])
    assert difference != difference
    check = Check(
        what="prompt", dtype="float32", tokens=1, difference=difference, by_torch=0, allowed=1
    )
    assert not check.passed
