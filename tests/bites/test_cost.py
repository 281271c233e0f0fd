"""Would we notice a cost model that is wrong in a way such models are?"""

from collections.abc import Iterator

import pytest

from needlework.cost import estimate, formulas, work
from needlework.models.config import SSD, Attention
from needlework.models.layer import LayerCost
from tests.unit.cost import test_estimate, test_formulas, test_study


@pytest.fixture(autouse=True)
def _forgetful() -> Iterator[None]:
    """Costs of decoders are remembered; those of broken formulas must not be."""
    formulas.costs.cache_clear()
    yield
    formulas.costs.cache_clear()


def test_a_recurrence_that_costs_nothing_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two FLOPs a parameter and token, and no more."""
    honest = SSD.cost

    def only_matrices(spec: SSD, width: int) -> LayerCost:
        return honest(spec, width)._replace(chunked=0, alone=0)

    monkeypatch.setattr(SSD, "cost", only_matrices)
    with pytest.raises(AssertionError):
        test_formulas.test_reading_flops_are_those_that_torch_counts("mamba2")


def test_attention_without_its_keys_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Attention.cost

    def blind(spec: Attention, width: int) -> LayerCost:
        return honest(spec, width)._replace(key=0)

    monkeypatch.setattr(Attention, "cost", blind)
    with pytest.raises(AssertionError):
        test_estimate.test_only_attention_pays_for_length()


def test_a_cache_that_counts_keys_but_not_values_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Attention.cost

    def half(spec: Attention, width: int) -> LayerCost:
        found = honest(spec, width)
        return found._replace(key_elements=found.key_elements // 2)

    monkeypatch.setattr(Attention, "cost", half)
    with pytest.raises(AssertionError):
        test_formulas.test_a_row_takes_the_memory_that_the_engine_reserves(
            "princeton-nlp/Sheared-LLaMA-2.7B", 5000
        )


def test_sharing_behind_the_needle_is_caught(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """All of the haystack, wherever the needle lies."""
    monkeypatch.setattr(work, "shared_share", lambda spec: 1.0)
    with pytest.raises(AssertionError):
        test_study.test_expected_shares_come_close_to_counted_ones(tmp_path_factory.mktemp("all"))


def test_a_default_that_looks_like_an_estimate_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that nothing describes, costed as if it were a small one."""
    small = estimate.CellCost(runtime_minutes=10, memory_mb=2000, gpu_memory_mb=0)
    monkeypatch.setattr(estimate, "UNKNOWN", small)
    with pytest.raises(AssertionError):
        test_estimate.test_an_unknown_model_is_given_room()
