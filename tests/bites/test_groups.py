"""Would anybody notice if rows did not go on from the prefix that they stand beside?"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from torch import Tensor

from needlework.engine import groups, running
from needlework.engine.groups import Group
from needlework.models import attention
from needlework.models.attending import Sight, attend
from needlework.models.key_values import KeyValueState
from needlework.models.mixer import Mixer
from needlework.models.slots import KeyValueSlots
from needlework.tokenizers.prefixes import Segment, Tokens, plan_forest
from tests.engine_for_tests import TINY
from tests.laws import test_groups as laws
from tests.laws.test_groups import grouped  # noqa: F401 - a fixture


def answered(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laws.test_rows_beside_a_prefix_answer_as_a_plain_loop_does(name, TINY, [], folder, monkeypatch)


@pytest.mark.usefixtures("grouped")
def test_a_prefix_that_nobody_looks_at_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def alone(q_BHTP: Tensor, cache: KeyValueState, sight: Sight) -> Tensor:
        return attend(q_BHTP, replace(cache, prefix=None), sight)

    monkeypatch.setattr(attention, "attend", alone)
    with pytest.raises(AssertionError):
        answered("llama", tmp_path, monkeypatch)


@pytest.mark.usefixtures("grouped")
def test_positions_that_begin_anew_behind_a_prefix_are_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = KeyValueSlots._told

    def anew(self: KeyValueSlots, state: KeyValueState) -> tuple[list[int], list[int]]:
        lengths, _ = honest(self, state)
        return lengths, list(lengths)

    monkeypatch.setattr(KeyValueSlots, "_told", anew)
    with pytest.raises(AssertionError):
        answered("llama", tmp_path, monkeypatch)


@pytest.mark.usefixtures("grouped")
def test_a_recurrent_state_that_begins_anew_behind_a_prefix_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Mixer, "as_prefix", lambda self, state: self.init_state(1))
    with pytest.raises(AssertionError):
        answered("mamba2attn", tmp_path, monkeypatch)


@pytest.mark.usefixtures("grouped")
def test_a_prefix_that_goes_on_a_token_too_early_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = running.plan_groups

    def moved(prompts: Sequence[Tokens], least_saved: float) -> tuple[Group, ...]:
        found = honest(prompts, least_saved)
        return tuple(
            each if each.parent is None else replace(each, start=each.start - 1) for each in found
        )

    monkeypatch.setattr(running, "plan_groups", moved)
    with pytest.raises(AssertionError):
        answered("llama", tmp_path, monkeypatch)


def test_a_group_that_loses_prompts_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def short(prompts: Sequence[Tokens], *, branch_cost: float) -> tuple[Segment, ...]:
        return plan_forest(prompts, branch_cost=branch_cost)[:-1]

    monkeypatch.setattr(groups, "plan_forest", short)
    with pytest.raises(AssertionError):
        laws.test_groups_hold_every_prompt_once_and_begin_with_their_prefix(0, 50.0)
