"""Laws of recorded steps: whatever is replayed, answers are those of steps taken one by one."""

from pathlib import Path

import pytest
import torch

from needlework.engine import choosing
from needlework.engine.schedule import Limits
from needlework.engine.stopping import PUBLISHED_SAMPLING, Decoding
from tests.engine_for_tests import FEW_SLOTS, ONE_BY_ONE, ROOMY, TINY, run_cell, shared_cell
from tests.models_for_tests import FAMILIES, family
from tests.recording_for_tests import Tapes, record_with

LIMITS = {"tiny": TINY, "few slots": FEW_SLOTS, "one row": ONE_BY_ONE}
KINDS = ("llama", "mamba2", "rwkv6", "griffin")


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("name", KINDS)
def test_replayed_steps_write_the_same_answers(
    name: str, limits: Limits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In blocks of four: rows end within them, linger, move and are joined by others."""
    decoder, cell, tapes = family(name, dtype=torch.float64), shared_cell(samples=3), Tapes()
    monkeypatch.setattr(choosing, "close_share", lambda logits: None)
    expected = run_cell(decoder, cell, tmp_path / "a", limits=limits)
    record_with(monkeypatch, tapes)
    assert run_cell(decoder, cell, tmp_path / "b", limits=limits) == expected
    assert tapes.replayed >= tapes.recorded > 0


@pytest.mark.parametrize("name", KINDS)
def test_replayed_single_steps_write_the_same_answers(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All answers side by side, where four steps of as many rows never come twice."""
    decoder, cell, tapes = family(name, dtype=torch.float64), shared_cell(samples=3), Tapes()
    expected = run_cell(decoder, cell, tmp_path / "a", limits=ROOMY)
    record_with(monkeypatch, tapes, unseen=1)
    assert run_cell(decoder, cell, tmp_path / "b", limits=ROOMY) == expected
    assert tapes.replayed >= tapes.recorded > 0


@pytest.mark.parametrize("name", FAMILIES)
def test_contested_choices_are_made_again_between_replays(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float32 each step is looked at; half of the choices are made to look contested."""
    decoder, cell, tapes = family(name, dtype=torch.float32), shared_cell(samples=3), Tapes()
    expected = run_cell(decoder, cell, tmp_path / "a", limits=TINY)
    monkeypatch.setattr(choosing, "close_share", lambda logits: 0.1)
    record_with(monkeypatch, tapes)
    assert run_cell(decoder, cell, tmp_path / "b", limits=TINY) == expected
    assert tapes.replayed


@pytest.mark.parametrize("limits", [FEW_SLOTS, TINY], ids=["few slots", "tiny"])
def test_draws_are_told_to_what_is_replayed(
    limits: Limits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder, cell, tapes = family("llama", dtype=torch.float64), shared_cell(samples=3), Tapes()
    drawn: Decoding = PUBLISHED_SAMPLING
    expected = run_cell(decoder, cell, tmp_path / "a", limits=limits, decoding=drawn)
    record_with(monkeypatch, tapes)
    assert run_cell(decoder, cell, tmp_path / "b", limits=limits, decoding=drawn) == expected
    assert tapes.replayed
