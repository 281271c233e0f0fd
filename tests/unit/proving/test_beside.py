"""Rows beside a prefix against rows with keys of their own, as `needlework prove` compares them."""

import pytest

from needlework.models.key_values import KeyValueState
from needlework.proving.beside import compare_beside
from needlework.proving.steps import NANO, TOY, steps

ATTENTION = [f"{NANO}/llama", f"{NANO}/transformerpp", f"{NANO}/mamba2attn"]


@pytest.mark.parametrize("checkpoint", ATTENTION)
def test_both_ways_agree(checkpoint: str) -> None:
    found = compare_beside(TOY, checkpoint)
    assert (found.rows, found.prefix, found.in_place) == (4, 32, False)
    assert found.passed
    assert found.copied_seconds > 0 < found.beside_seconds


def test_a_prefix_that_is_not_looked_at_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = KeyValueState.joined

    def without(self: KeyValueState, count: int) -> KeyValueState:
        joined = honest(self, count)
        joined.buffer.values_BHSP[:, :, : joined.longest // 2] = 0
        return joined

    monkeypatch.setattr(KeyValueState, "joined", without)
    assert not compare_beside(TOY, ATTENTION[0]).passed


def test_it_is_asked_of_models_whose_keys_grow() -> None:
    asked = [each.subject for each in steps(TOY, build=False) if each.kind == "beside"]
    assert sorted(asked) == sorted(ATTENTION)
