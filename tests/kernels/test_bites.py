"""Would the checks notice? Each test undoes one repair, or breaks a kernel in one way."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from needlework.models import attending, cuda, rwkv6, ssd
from tests.kernels import interpreter, test_decoders, test_extensions, test_scans

pytestmark = interpreter.KERNELS


def test_a_single_token_without_a_bias_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """mamba-ssm reads strides of what it was not given: every decoded token of Mamba2 crashed."""
    module = interpreter.mamba_ssm.ops.triton.selective_state_update
    honest = module.selective_state_update

    def without(*arguments: Tensor, **nothing: Tensor) -> Tensor:
        assert set(nothing) == {"D", "dt_bias", "dt_softplus"}
        return honest(*arguments)

    monkeypatch.setattr(module, "selective_state_update", without)
    with pytest.raises(AttributeError):
        test_scans.test_the_selective_scan_of_any_length(1)


def test_the_chunked_diagonal_scan_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its numbers are right here, where nothing runs side by side: only the race gives it away."""

    def chunked(log_decay: Tensor, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return interpreter.fla.ops.hgrn.chunk_hgrn(
            x, log_decay, initial_state=state, output_final_state=True
        )

    monkeypatch.setattr(cuda, "diagonal_scan", chunked)
    test_scans.test_the_diagonal_scan_of_any_length(300)
    assert interpreter.races.found == {"chunk_hgrn_fwd_kernel_o"}
    interpreter.races.found.clear()


def test_an_end_of_a_chunk_that_is_not_carried_on_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a GPU may make of that race: rows that miss whatever is older than one chunk."""
    honest = cuda._hgrn

    def forgetful(log_decay: Tensor, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return honest(log_decay, x, torch.zeros_like(state))

    monkeypatch.setattr(cuda, "_hgrn", forgetful)
    with pytest.raises(AssertionError):
        test_scans.test_the_diagonal_scan_of_any_length(300)
    with pytest.raises(AssertionError):
        test_decoders.test_a_decoder_of_every_family("griffin")


def test_a_slice_that_is_passed_on_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "_in_vectors", lambda x: x)
    with pytest.raises(RuntimeError, match="multiples of 8"):
        test_extensions.test_a_convolution_takes_any_slice_of_a_projection(
            "nano mamba2", torch.float32
        )


def test_a_copy_that_keeps_its_layout_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """One token of one row is contiguous with any stride, so `contiguous()` copies nothing."""
    monkeypatch.setattr(cuda, "_in_vectors", lambda x: x.contiguous())
    with pytest.raises(RuntimeError, match="multiples of 8"):
        test_extensions.test_a_convolution_takes_any_slice_of_a_projection(
            "nano mamba2", torch.float32
        )
    with pytest.raises(RuntimeError, match="within a vector"):
        test_extensions.test_a_convolution_takes_any_layout("begins within a vector", torch.float32)


def test_a_convolution_of_a_size_without_a_kernel_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cuda, "convolves", lambda channels, taps: True)
    with pytest.raises(RuntimeError, match="multiples of 8"):
        test_extensions.test_torch_takes_the_sizes_that_have_no_kernel(12, 4)
    with pytest.raises(RuntimeError, match="5 taps"):
        test_extensions.test_torch_takes_the_sizes_that_have_no_kernel(16, 5)


@pytest.mark.parametrize("name", ["grouped", "one group, window"])
def test_masked_attention_that_shares_keys_is_caught(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch answers with float32 scores of all pairs: 10.7 GB for 16,384 tokens of ten heads."""

    def sharing(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=False, enable_gqa=True
        )

    monkeypatch.setattr(attending, "_grouped", sharing)
    with pytest.raises(RuntimeError, match="math kernel"):
        test_extensions.test_attention_without_flash_attn(name, monkeypatch)


def test_a_state_changed_in_place_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel of single tokens writes the state it was given; siblings would share it."""
    monkeypatch.setattr(Tensor, "clone", lambda self, **layout: self)
    with pytest.raises(AssertionError):
        test_scans.test_the_selective_scan_of_any_length(1)


@pytest.mark.parametrize("name", test_decoders.OVERWRITTEN)
def test_a_shared_state_that_is_overwritten_is_caught(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (rwkv6, ssd):
        monkeypatch.setattr(module, "owns_states", lambda: True)
    with pytest.raises(AssertionError):
        test_decoders.test_a_state_is_overwritten_for_its_owner_alone(name)


def test_a_step_that_reads_its_padding_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = cuda.selective_scan

    def unpadded(x: Tensor, steps: cuda.Steps, *rest: Tensor, chunk: int) -> tuple[Tensor, Tensor]:
        return honest(x, steps._replace(raw_BTH=steps.raw_BTH.clamp(min=-2)), *rest, chunk=chunk)

    monkeypatch.setattr(cuda, "selective_scan", unpadded)
    with pytest.raises(AssertionError):
        test_scans.test_the_selective_scan_of_any_length(40)
