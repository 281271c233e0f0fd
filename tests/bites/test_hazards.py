"""Would we notice? A hazard study made careless, and the tests that catch it."""

from typing import Any

import numpy as np
import pytest

from needlework.hazards import effects
from needlework.study import variants
from tests.unit.hazards import test_effects
from tests.unit.study import test_variants


def test_formats_that_are_never_mixed_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = effects._shares
    monkeypatch.setattr(effects, "_shares", lambda *, mixed: shares(mixed=False))
    with pytest.raises(AssertionError):
        test_effects.test_mixed_formats_are_a_mean_over_fewer_answers()


def test_tests_that_are_not_corrected_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effects, "holm", list)
    with pytest.raises(AssertionError):
        test_effects.test_tests_are_exact_and_corrected_together()


def test_samples_that_are_drawn_without_their_tasks_are_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One stratum of all samples: too wide where tasks differ, too narrow where lengths repeat."""
    honest = effects.intervals

    def careless(differences: Any, **options: Any) -> Any:
        repeated = [np.tile(each.reshape(1, -1), 2) for each in differences]
        return honest(repeated, **options)

    monkeypatch.setattr(test_effects, "intervals", careless)
    with pytest.raises(AssertionError):
        test_effects.test_intervals_cover_the_truth()


def test_defective_samples_that_are_right_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variants, "misread", lambda spec, hazards: spec)
    with pytest.raises(AssertionError):
        test_variants.test_defective_samples_lie_at_a_place_of_their_own()


def test_a_defect_that_is_not_switched_on_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variants, "of_decoder", lambda hazards: [])
    with pytest.raises(AssertionError):
        test_variants.test_the_decoder_is_told_of_its_own_defects_alone()
