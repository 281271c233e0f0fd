"""Laws of prompts in groups: rows beside one prefix answer as rows with all keys of their own."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from needlework.cost.formulas import Decoder as Costs
from needlework.engine import choosing, running
from needlework.engine.cell import Dataset
from needlework.engine.groups import Group, plan_groups
from needlework.engine.schedule import Limits
from needlework.models import config
from needlework.models.decoder import Decoder
from needlework.models.key_values import KeyValueState
from needlework.models.slots import DecoderSlots
from needlework.tokenizers.prefixes import plan_forest
from tests.engine_for_tests import (
    FEW_SLOTS,
    ONE_BY_ONE,
    ROOMY,
    TINY,
    VOCABULARY,
    compared_cell,
    dataset,
    run_cell,
    sample,
)
from tests.engine_for_tests import shared_cell as cell_with_depths
from tests.laws.test_engine import answers, expected
from tests.models_for_tests import FAMILIES, SPECS, family
from tests.recording_for_tests import Tapes, record_with

LIMITS = {"roomy": ROOMY, "tiny": TINY, "few slots": FEW_SLOTS, "one row": ONE_BY_ONE}
KINDS = ("llama", "transformerpp", "mamba2attn", "windows", "wide windows")
"""The last has windows that reach from the end of a prompt into the prefix."""
SAVED = 30


@pytest.fixture
def grouped(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Group]]:
    """Prefixes are read in place, as on CUDA; the groups that were answered so."""
    found: list[Group] = []

    def planned(*given: object) -> tuple[Group, ...]:
        groups = plan_groups(*given)  # type: ignore[arg-type]
        found.extend(groups)
        return groups

    layers = (SPECS["window"], SPECS["mlp"], SPECS["attention"], SPECS["ssd"])
    wide = (SPECS["window"].model_copy(update={"window": 30}), *layers[1:])
    monkeypatch.setitem(FAMILIES, "windows", (layers, config.Norm()))
    monkeypatch.setitem(FAMILIES, "wide windows", (wide, config.Norm()))
    monkeypatch.setattr(Decoder, "writes_beside_prefix", True)
    monkeypatch.setattr(Costs, "least_saved", lambda self, width: SAVED)
    monkeypatch.setattr(running, "plan_groups", planned)
    yield found
    assert [each for each in found if each.parent is not None], "no prefix goes on from another"


def under(monkeypatch: pytest.MonkeyPatch, limits: Limits) -> None:
    """Rows beside a prefix have these limits."""
    monkeypatch.setattr(running, "limits_beside", lambda *given, **named: limits)


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("name", KINDS)
def test_rows_beside_a_prefix_answer_as_a_plain_loop_does(
    name: str,
    limits: Limits,
    grouped: list[Group],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    under(monkeypatch, limits)
    decoder, cell = family(name, dtype=torch.float64), cell_with_depths(samples=4)
    predictions = run_cell(decoder, cell, tmp_path / "journal")
    assert answers(predictions) == expected(decoder, cell)


@pytest.mark.parametrize("limits", [TINY, FEW_SLOTS], ids=["tiny", "few slots"])
@pytest.mark.parametrize("name", ["llama", "mamba2attn", "wide windows"])
def test_so_do_steps_that_are_replayed(
    name: str,
    limits: Limits,
    grouped: list[Group],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    under(monkeypatch, limits)
    decoder, cell, tapes = family(name, dtype=torch.float64), cell_with_depths(samples=9), Tapes()
    monkeypatch.setattr(choosing, "close_share", lambda logits: None)
    with monkeypatch.context() as alone:
        alone.setattr(Decoder, "writes_beside_prefix", False)
        plain = run_cell(decoder, cell, tmp_path / "a")
    record_with(monkeypatch, tapes)
    assert run_cell(decoder, cell, tmp_path / "b") == plain
    assert tapes.replayed >= tapes.recorded > 0


@pytest.mark.parametrize("name", KINDS)
def test_likelihoods_behind_a_prefix_are_those_of_whole_prompts(
    name: str, grouped: list[Group], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder, cell = family(name, dtype=torch.float64), compared_cell(samples=4)
    found = run_cell(decoder, cell, tmp_path / "a")
    monkeypatch.setattr(Decoder, "writes_beside_prefix", False)
    plain = run_cell(decoder, cell, tmp_path / "b")
    assert [each.likelihood for each in found] == [each.likelihood for each in plain]
    assert any(each.likelihood for each in found)


def test_memory_that_runs_out_beside_a_prefix_loses_nothing(
    grouped: list[Group], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the first row of the second group; what was finished before is not answered again."""
    decoder, cell = family("llama", dtype=torch.float64), cell_with_depths(samples=4)
    honest, made = Decoder.slots, []

    def failing(self: Decoder, rows: int, *sizes: int) -> DecoderSlots:
        made.append(rows)
        if rows > 1 and len(made) == 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return honest(self, rows, *sizes)

    monkeypatch.setattr(Decoder, "slots", failing)
    predictions = run_cell(decoder, cell, tmp_path / "journal")
    assert answers(predictions) == expected(decoder, cell)
    assert made[3] > 1
    assert len(made) == 5, "after that every row has all of its keys"


def test_where_hardly_a_row_fits_no_prefix_is_beside_it(
    grouped: list[Group], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder, cell = family("llama", dtype=torch.float64), cell_with_depths(samples=4)
    expected = run_cell(decoder, cell, tmp_path / "a")
    assert grouped
    monkeypatch.setattr(running, "plan_groups", None)
    monkeypatch.setattr("needlework.engine.cell.limits_for", lambda *given, **named: ONE_BY_ONE)
    assert run_cell(decoder, cell, tmp_path / "b") == expected


def branching_cell() -> dict[str, Dataset]:
    """Two books with one beginning: questions about that, and about how each of them goes on."""
    draws = random.Random(1)
    beginning, *books = ([draws.randrange(3, VOCABULARY) for _ in range(40)] for _ in range(3))
    texts = [beginning, beginning + books[0], beginning + books[1]]
    asked = [[*text, 7, 3 + number, 20 + 3 * number] for text in texts for number in range(4)]
    return {"asked": dataset([sample(index, tokens) for index, tokens in enumerate(asked)])}


@pytest.mark.parametrize("name", ["llama", "mamba2attn", "wide windows"])
def test_prefixes_that_go_on_from_one_are_read_in_one_place(
    name: str, grouped: list[Group], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder, cell, places = family(name, dtype=torch.float64), branching_cell(), set()
    honest = KeyValueState.as_prefix

    def noting(self: KeyValueState) -> KeyValueState:
        places.add((self.buffer.keys_BHSP.data_ptr(), self.first))
        return honest(self)

    monkeypatch.setattr(KeyValueState, "as_prefix", noting)
    predictions = run_cell(decoder, cell, tmp_path / "journal")
    assert answers(predictions) == expected(decoder, cell)
    assert [each.parent for each in grouped] == [None, 0, 0]
    layers = sum(
        isinstance(layer, config.Attention) and layer.window is None
        for layer in decoder.config.layers
    )
    assert len(places) == layers


def prompts_of(seed: int, count: int) -> list[np.ndarray]:
    """Prompts that part from a few texts at any place; some are equal, some begin others."""
    draw = np.random.default_rng(seed)
    texts = [draw.integers(3, 9, size=200) for _ in range(3)]
    found = []
    for _ in range(count):
        at = int(draw.integers(1, 200))
        own = draw.integers(3, 9, size=int(draw.integers(0, 30)))
        found.append(np.concatenate([texts[int(draw.integers(3))][:at], own]).astype(np.int32))
    return found


@pytest.mark.parametrize("least", [1.0, 50.0, 2000.0])
@pytest.mark.parametrize("seed", range(6))
def test_groups_hold_every_prompt_once_and_begin_with_their_prefix(seed: int, least: float) -> None:
    prompts = prompts_of(seed, count=60)
    groups = plan_groups(prompts, least)
    assert sorted(prompt for each in groups for prompt in each.prompts) == list(range(60))
    for index, group in enumerate(groups):
        prefix = prompts[group.prompts[0]][: group.end]
        for prompt in group.prompts:
            assert np.array_equal(prompts[prompt][: group.end], prefix)
            assert len(prompts[prompt]) > group.end, "something is left to be read"
        assert (group.end == 0) <= (index == 0)
        start = 0
        if group.parent is not None:
            assert group.parent < index
            above = groups[group.parent]
            assert np.array_equal(prefix[: above.end], prompts[above.prompts[0]][: above.end])
            start = above.end
        assert group.start == start
        if group.end:
            assert (len(group.prompts) - 1) * (group.end - group.start) >= least


def test_needles_at_one_depth_are_a_group_and_nothing_in_common_is_none() -> None:
    draw = np.random.default_rng(0)
    book = draw.integers(3, 99, size=1000)
    depths = [
        np.concatenate([book[:at], [100 + index], book[at:]]).astype(np.int32)
        for at in (200, 500, 900)
        for index in range(20)
    ]
    groups = plan_groups(depths, 2000.0)
    assert [(each.start, each.end, len(each.prompts)) for each in groups] == [
        (0, 200, 20),
        (200, 500, 20),
        (500, 900, 20),
    ]
    apart = [draw.integers(3, 99, size=300).astype(np.int32) for _ in range(20)]
    assert plan_groups(apart, 2000.0) == (Group(tuple(range(20))),)
    assert plan_groups(depths, float("inf")) == (Group(tuple(range(60))),)


def test_turns_of_one_conversation_are_not_answered_one_by_one() -> None:
    """Each prompt begins all later ones: a prefix of its own for each would leave rows alone."""
    talk = np.arange(3, 3003, dtype=np.int32)
    turns = [talk[: 30 * count] for count in range(1, 101)]
    assert len(plan_forest(turns)) == 100
    assert len(plan_groups(turns, 3000.0)) < 10
