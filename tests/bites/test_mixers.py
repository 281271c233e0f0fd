"""Would the laws of state notice? Each mixer below is broken in one way a real library was."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from needlework.models import attending, attention, convolution, gated_delta, rglru, rwkv6, ssd
from needlework.models.key_values import KeyValueState
from tests.laws import test_mixers as laws
from tests.reference.test_against_naive import test_mixer_equals_its_formulas as equals_formulas


def zeros(joined: Tensor, count: int, lengths_B: Tensor | None) -> Tensor:
    return torch.zeros_like(joined[:, :count])


@pytest.mark.parametrize("name", ["ssd", "gated delta", "rglru", "convolved attention"])
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
    honest = KeyValueState.with_room

    def shared(self: KeyValueState, new: int) -> KeyValueState:
        if self.buffer.capacity >= self.longest + new:
            return self
        roomy = honest(self, new + 100).buffer
        self.buffer.keys_BHSP, self.buffer.values_BHSP = roomy.keys_BHSP, roomy.values_BHSP
        return self

    monkeypatch.setattr(KeyValueState, "with_room", shared)
    with pytest.raises(AssertionError):
        laws.test_siblings_of_one_state_do_not_meet("attention")


@pytest.mark.parametrize(
    ("family", "module"),
    [("mamba2", ssd), ("gated deltanet", gated_delta), ("griffin", rglru), ("rwkv6", rwkv6)],
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
    honest = attending.Sight.mask
    monkeypatch.setattr(
        attending.Sight,
        "mask",
        lambda self, *ranges: honest(replace(self, window=self.window + 1), *ranges),
    )
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


@pytest.mark.parametrize("name", ["attention", "ssd", "gated delta", "rglru", "channel mix"])
def test_a_last_token_taken_from_the_padding_is_caught(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a padded batch the last column belongs to the longest rows only."""
    module = {
        "attention": attention,
        "ssd": ssd,
        "gated delta": gated_delta,
        "rglru": rglru,
        "channel mix": rwkv6,
    }[name]
    monkeypatch.setattr(module, "last_token", lambda sequence, lengths: sequence[:, -1:])
    with pytest.raises(AssertionError):
        laws.test_reading_for_the_last_token_gives_what_reading_for_all_does(name, 37)


def test_a_last_query_that_sees_the_padding_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns behind a short row's last token hold nothing it may see."""
    honest = attending.Sight.at_end
    monkeypatch.setattr(
        attending.Sight, "at_end", lambda *given: replace(honest(*given), level=True)
    )
    with pytest.raises(AssertionError):
        laws.test_reading_for_the_last_token_gives_what_reading_for_all_does("attention", 37)


def test_decays_summed_from_the_beginning_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def from_the_beginning(
        x: Tensor, step: Tensor, rate: Tensor, write: Tensor, state: Tensor
    ) -> Tensor:
        sums = (step * rate).cumsum(dim=1)
        weight = step * (sums[:, -1:] - sums).exp()
        heads = write.transpose(1, 2).repeat_interleave(x.shape[2], dim=1)
        added = (x * weight[..., None]).permute(0, 2, 3, 1) @ heads
        return sums[:, -1].exp()[..., None, None] * state + added

    monkeypatch.setattr(laws, "last_state", from_the_beginning)
    with pytest.raises(AssertionError):
        laws.test_a_state_reached_at_once_is_exact_in_float32()
