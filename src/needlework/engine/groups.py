"""Prompts of a cell in groups, each beside one prefix that is in memory once, and looked at by all.

Where keys and values of a long beginning outweigh the weights, reading them once for many rows is
what makes writing fast, and rows that have them in common leave room for more rows.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from needlework.engine.interruption import Interruption
from needlework.engine.memory import out_of_memory_after
from needlework.engine.prefill import read
from needlework.engine.schedule import Limits
from needlework.engine.slots import NOTHING_READ, Behind
from needlework.models.decoder import Decoder
from needlework.models.slots import DecoderSlots
from needlework.models.state import DecoderState
from needlework.tokenizers.prefixes import Segment, Tokens, plan_forest


@dataclass(frozen=True, slots=True)
class Group:
    """Prompts that are answered together, and the tokens with which all of them begin."""

    prompts: tuple[int, ...]
    start: int = 0
    """Where this group's own part of the prefix begins: the end of its parent's prefix, or 0."""
    end: int = 0
    """Tokens of the prefix; 0 where there is none."""
    parent: int | None = None
    """The group from whose prefix this one's is read on."""


def plan_groups(prompts: Sequence[Tokens], least_saved: float) -> tuple[Group, ...]:
    """All prompts in groups, each prefix after the one that it is read on from, depth first.

    A prefix is worth it where all rows but one are spared `least_saved` tokens of keys together,
    compared with the prefix that is read on from (`cost.formulas`). Prompts with nothing in common
    are one group without a prefix.
    """
    forest = plan_forest(prompts, branch_cost=least_saved)
    members: dict[int | None, list[int]] = {None: []}
    for each in forest:
        members.setdefault(each.parent, []).extend(each.prompts)
    kept = set()
    for index in reversed(range(len(forest))):
        above = forest[index].parent
        own = members.pop(index, [])
        if (len(own) - 1) * forest[index].length >= least_saved:
            kept.add(index)
            members[index] = own
        else:
            members.setdefault(above, []).extend(own)
    return tuple(_depth_first(forest, members, kept))


def _depth_first(
    forest: Sequence[Segment], members: dict[int | None, list[int]], kept: set[int]
) -> Iterator[Group]:
    """The groups of segments that are kept, and first that of prompts without a prefix."""
    if members[None]:
        yield Group(tuple(sorted(members[None])))
    above: dict[int, int | None] = {}
    below: dict[int | None, list[int]] = {}
    for index in sorted(kept):
        parent = forest[index].parent
        while parent is not None and parent not in kept:
            parent = forest[parent].parent
        above[index] = parent
        below.setdefault(parent, []).append(index)
    number: dict[int, int] = {}
    place = int(bool(members[None]))
    open_ = below.get(None, [])[::-1]
    while open_:
        index = open_.pop()
        parent = above[index]
        number[index], place = place, place + 1
        start = 0 if parent is None else forest[parent].end
        found = tuple(sorted(members[index]))
        yield Group(found, start, forest[index].end, None if parent is None else number[parent])
        open_ += below.get(index, [])[::-1]


def read_prefixes(
    decoder: Decoder,
    prompts: Sequence[Tokens],
    groups: Sequence[Group],
    *,
    limits: Limits,
    interruption: Interruption,
) -> Iterator[tuple[Group, Behind]]:
    """Every group with what its rows go on from, which is good until the next one is asked for.

    An interruption ends it at the next forward call.

    Raises:
        DoesNotFitError: a forward call did not fit.
    """
    going_on = Counter(each.parent for each in groups)
    ends: dict[int | None, DecoderState] = {}
    storage: DecoderSlots | None = None
    for index, group in enumerate(groups):
        if not group.end:
            yield group, NOTHING_READ
            continue
        if storage is None:
            storage = _storage(decoder, max(each.end for each in groups))
        if group.parent is None:
            before = storage.begin(0, [decoder.init_state(1)])
        else:
            # What stands behind it is of groups that are done.
            before = decoder.resumed(ends[group.parent])
        reading = read(
            decoder,
            [prompts[group.prompts[0]][group.start : group.end]],
            before,
            limits=limits,
            start=group.start,
            interruption=interruption,
        )
        state = next((after for *_, after in reading), None)
        if state is None:
            return
        going_on[group.parent] -= 1
        if not going_on[group.parent]:
            ends.pop(group.parent, None)
        if going_on[index]:
            ends[index] = state
        yield group, Behind(group.end, decoder.as_prefix(state))


def _storage(decoder: Decoder, tokens: int) -> DecoderSlots:
    """One row, in which prefixes are read, each over or behind the one before."""
    with out_of_memory_after(0):
        return decoder.slots(1, tokens, 0)
