"""What lies before all rows in memory once: how much is expected, and what it takes."""

import math

import numpy as np
import pytest
import torch

from needlework.cost import room
from needlework.cost.beside import expected_group
from needlework.cost.formulas import Decoder as Costs
from needlework.cost.formulas import costs
from needlework.cost.published import published
from needlework.cost.work import Work
from needlework.engine.groups import plan_groups
from needlework.engine.schedule import Limits
from needlework.models.decoder import Decoder

PLUSPLUS, MAMBA = "state-spaces/transformerpp-2.7b", "state-spaces/mamba2-2.7b"
GEMMA = "google/recurrentgemma-2b"


def costs_of(checkpoint: str) -> Costs:
    spec = published(checkpoint)
    assert spec is not None
    return costs(spec)


def needles(count: int, length: int, *, start: int, stop: int, seed: int = 0) -> list[np.ndarray]:
    """Prompts of one book, each with a needle of its own from a place between two on."""
    draw = np.random.default_rng(seed)
    book = draw.integers(0, 99, size=length).astype(np.int32)
    prompts = []
    for number, place in enumerate(draw.integers(start, stop, size=count)):
        own = np.array([1000 + number], dtype=np.int32)
        prompts.append(np.concatenate([book[:place], own, book[place + 1 :]]))
    return prompts


@pytest.mark.parametrize("length", [1024, 4096, 16384])
@pytest.mark.parametrize("checkpoint", [PLUSPLUS, "state-spaces/mamba2attn-2.7b"])
def test_expected_prefixes_come_close_to_those_of_prompts(checkpoint: str, length: int) -> None:
    """Needles anywhere, 250 of them: within a tenth of all tokens, over three haystacks."""
    decoder, count = costs_of(checkpoint), 250
    least = decoder.least_saved(2)
    found = []
    for seed in range(3):
        groups = plan_groups(needles(count, length, start=0, stop=length, seed=seed), least)
        found.append(sum(len(each.prompts) * each.end for each in groups) / count)
    expected = expected_group(decoder, Work(count, length, length / 2, 128, length), 2)
    assert abs(expected.prefix - np.mean(found)) < length / 10
    assert 1 < expected.prompts < count or not expected.prefix


def test_needles_at_one_depth_lie_behind_all_that_they_share() -> None:
    decoder = costs_of(PLUSPLUS)
    found = expected_group(decoder, Work(250, 8192, 4096, 128), 2)
    assert found == (4096, 250)
    prompts = needles(250, 8192, start=4096, stop=4097)
    (group,) = plan_groups(prompts, decoder.least_saved(2))
    assert (group.end, len(group.prompts)) == found


def test_a_prefix_that_outweighs_no_weights_is_not_kept() -> None:
    decoder = costs_of(PLUSPLUS)
    least = decoder.least_saved(2)
    assert least == pytest.approx(decoder.step_bytes(2) / decoder.key_bytes(1, 2))
    few = math.ceil(least / 4096)
    assert expected_group(decoder, Work(few, 8192, 4096, 128), 2) == (0, few)
    assert expected_group(decoder, Work(few + 1, 8192, 4096, 128), 2) == (4096, few + 1)


@pytest.mark.parametrize("checkpoint", [MAMBA, GEMMA])
def test_what_does_not_grow_is_never_a_prefix(checkpoint: str) -> None:
    decoder = costs_of(checkpoint)
    assert decoder.least_saved(2) == math.inf
    assert expected_group(decoder, Work(10_000, 8192, 4096, 128), 2) == (0, 10_000)


@pytest.mark.parametrize("checkpoint", [PLUSPLUS, "state-spaces/mamba2attn-2.7b"])
def test_slots_beside_a_prefix_take_what_the_memory_rule_counts(checkpoint: str) -> None:
    """What is really made of them, tensor by tensor."""
    spec = published(checkpoint)
    assert spec is not None
    with torch.device("meta"):
        decoder = Decoder(spec).to(torch.bfloat16)
    prefix = room.Prefix(4096, stored=6000)
    cell = room.Cell(costs(spec), 2, 8192 + 128, 128, contested=False, prefix=prefix)
    slots = decoder.slots(7, 4096 + 128 + room.UNSEEN, 128 + room.UNSEEN)
    assert slots.rows(0, 7).bytes == 7 * cell.slot_bytes
    assert decoder.slots(1, 6000, 0).rows(0, 1).bytes == cell.prefix_bytes
    alone = cell._replace(prefix=room.Prefix(0, 0))
    kept = room.room_for(alone, 64 << 30, "cuda"), room.room_for(cell, 64 << 30, "cuda")
    assert kept[0].rows < kept[1].rows < 2 * kept[0].rows
    assert cell.peak_bytes(kept[1], kept[1].slots, "cuda") <= 64 << 30


def test_a_contested_row_is_computed_with_all_of_its_keys() -> None:
    cell = room.Cell(costs_of(PLUSPLUS), 4, 8192, 128, contested=True)
    assert cell._replace(prefix=room.Prefix(8000, 8000)).alone_bytes == cell.alone_bytes


@pytest.mark.parametrize("own", [20, 4096])
def test_copies_of_a_prefix_are_counted_for_as_many_rows_as_are_read(own: int) -> None:
    """Short ends of prompts could be read by hundreds in a call, each with a copy of the prefix."""
    decoder, prefix = costs_of(PLUSPLUS), 12_000
    given = room.Prefix(prefix, prefix)
    cell = room.Cell(decoder, 2, prefix + own + 128, 128, contested=False, prefix=given)
    found = room.room_for(cell, 64 << 30, "cuda")
    limits = Limits(found.tokens, room.CHUNK["cuda"], found.rows, found.states, prefix=prefix)
    rows = limits.read_together(own)
    most = max(found.rows // room.GROUP, limits.rows_of(own))
    assert rows == min(room.COPIES * found.tokens // prefix, most)
    copied = rows * (prefix + own + 128) * decoder.layers[0].key_elements * 2
    slots = found.slots * cell.slot_bytes + cell.prefix_bytes
    assert slots + copied < cell.peak_bytes(found, found.slots, "cuda") <= 64 << 30
