"""Would the laws of state notice? Each mixer below is broken in one way a real library was."""

import copy

import pytest
import torch
from torch import Tensor

from needlework.models import attention, convolution, rglru, rwkv6, ssd
from needlework.models.state import KeyValueBuffer, KeyValueState
from tests.laws import test_mixers as laws
from tests.reference.test_against_naive import test_mixer_equals_its_formulas as equals_formulas


def zeros(joined: Tensor, count: int, lengths_B: Tensor | None) -> Tensor:
    return torch.zeros_like(joined[:, :count])


@pytest.mark.parametrize("name", ["ssd", "rglru", "convolved attention"])
def test_a_dropped_convolution_tail_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """RecurrentGemma in transformers resets its convolution at every call of several tokens."""
    monkeypatch.setattr(convolution, "last_valid", zeros)
    with pytest.raises(AssertionError):
        laws.test_cutting_a_sequence_anywhere_changes_nothing(name, [3, 4])


def test_a_tail_saved_after_the_convolution_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """mamba_ssm 2.0 to 2.3 saves the convolved inputs of its attention layers (hazard H2)."""
    honest = convolution.CausalConvolution.forward

    def after(
        self: convolution.CausalConvolution, x: Tensor, tail: Tensor, lengths: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        y, tail = honest(self, x, tail, lengths)
        return y, torch.cat([tail, y], dim=1)[:, -tail.shape[1] :]

    monkeypatch.setattr(convolution.CausalConvolution, "forward", after)
    with pytest.raises(AssertionError):
        laws.test_cutting_a_sequence_anywhere_changes_nothing("convolved attention", [8, 16])


@pytest.mark.parametrize("name", ["time mix", "channel mix"])
def test_a_dropped_token_shift_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rwkv6, "last_valid", zeros)
    with pytest.raises(AssertionError):
        laws.test_cutting_a_sequence_anywhere_changes_nothing(name, [1])


def test_a_cache_written_in_place_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's RecurrentGemma changes its attention cache in place (logits 0.36 apart)."""
    honest = KeyValueState._room_for

    def shared(self: KeyValueState, new: int) -> KeyValueBuffer:
        if self.buffer.capacity >= self.longest + new:
            return self.buffer
        roomy = honest(self, new + 100)
        self.buffer.keys_BHSP, self.buffer.values_BHSP = roomy.keys_BHSP, roomy.values_BHSP
        return self.buffer

    monkeypatch.setattr(KeyValueState, "_room_for", shared)
    with pytest.raises(AssertionError):
        laws.test_siblings_of_one_state_do_not_meet("attention")


@pytest.mark.parametrize(
    ("family", "module"), [("mamba2", ssd), ("griffin", rglru), ("rwkv6", rwkv6)]
)
def test_padding_that_is_read_is_caught(
    family: str, module: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        module, "valid_tokens", lambda lengths, like: torch.ones(like.shape[:2], dtype=torch.bool)
    )
    with pytest.raises(AssertionError):
        laws.test_a_row_in_a_mixed_batch_equals_the_row_alone(family)


def test_a_window_one_key_too_wide_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's code and transformers disagree by exactly one key (hazard H3)."""
    honest = attention.Attention._visible

    def wide(self: attention.Attention, *arguments: object) -> attention.Visible:
        wider = copy.copy(self)
        wider.spec = self.spec.model_copy(update={"window": self.spec.window + 1})
        return honest(wider, *arguments)

    monkeypatch.setattr(attention.Attention, "_visible", wide)
    with pytest.raises(AssertionError):
        equals_formulas("window", 37)


def test_a_scaled_first_token_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first token enters the RG-LRU unscaled; forgetting that shifts every later state."""
    honest = rglru.RGLRU._gates
    monkeypatch.setattr(
        rglru.RGLRU, "_gates", lambda self, u, position: honest(self, u, position + 1)
    )
    with pytest.raises(AssertionError):
        equals_formulas("rglru", 5)
