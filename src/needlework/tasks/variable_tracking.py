"""Chains of assignments hidden between repeated sentences: who holds the value in the end?"""

import itertools
import random
from collections.abc import Sequence

from needlework.tasks import drafts
from needlework.tasks.drafts import Body, Draft, Insert, Outline
from needlework.tasks.material import Draw, Growing, Item, Material, distinct
from needlework.tasks.prompts import Frame
from needlework.tasks.specs import VariableTrackingSpec

_EXAMPLE_UNITS = 10
_EXAMPLE_HOPS = 10
"""The most that an example shows, as RULER's does."""


class _Chains:
    """The variables of every chain and the value each chain starts from."""

    def __init__(
        self, chains: int, hops: int, material: Material, draws: random.Random, *, name: Draw
    ) -> None:
        links = hops + 1
        names = distinct(name, draws, chains * links)
        self.names = [names[start : start + links] for start in range(0, len(names), links)]
        self.values = distinct(material.held, draws, chains)
        self.fractions = [sorted(draws.random() for _ in range(links)) for _ in range(chains)]

    def inserts(self, material: Material, units: int) -> list[Insert]:
        """Every assignment at its place; the first chain is the one that is asked for."""
        inserts = []
        wording = material.wording
        for chain, names in enumerate(self.names):
            sources = [self.values[chain], *names]
            says = [wording.assignment, *[wording.passing] * (len(names) - 1)]
            positions = drafts.scatter(self.fractions[chain], units)
            for say, name, source, position in zip(says, names, sources, positions, strict=False):
                text = say.format(name=name, source=source)
                inserts.append(Insert(position, text, chain == 0))
        return inserts


def plan(spec: VariableTrackingSpec, material: Material, item: Item) -> Outline:
    """Draw the chains of one sample, and of the solved example before it."""
    draws = item.stream("chains")
    chains = _Chains(spec.chains, spec.hops, material, draws, name=material.names)
    hay = Growing(itertools.cycle(material.noise))
    example = ""
    if material.wording.shows_example:
        draws, hops = item.common_stream("example"), min(_EXAMPLE_HOPS, spec.hops)
        shown = _Chains(spec.chains, hops, material, draws, name=material.example_names)
        small = _body(material, shown, hay.first(_EXAMPLE_UNITS))
        frame = _frame(material, shown)
        example = drafts.solved(frame, small, _completion(frame, shown.names[0]))

    def compose(size: int) -> Draft:
        frame = _frame(material, chains)
        return drafts.finish(
            material,
            frame,
            _body(material, chains, hay.first(size), asked=item.needle),
            outputs=chains.names[0],
            completion=_completion(frame, chains.names[0]),
            example=example,
        )

    return Outline(compose, most=item.budget)


def _body(material: Material, chains: _Chains, units: Sequence[str], *, asked: bool = True) -> Body:
    """Hay with the chains, or with those alone that are not asked for."""
    inserts = [each for each in chains.inserts(material, len(units)) if asked or not each.answer]
    return drafts.weave(units, inserts, separator=material.wording.line_separator)


def _frame(material: Material, chains: _Chains) -> Frame:
    return material.wording.tracking.fill(value=chains.values[0], count=str(len(chains.names[0])))


def _completion(frame: Frame, names: Sequence[str]) -> str:
    following = [
        frame.between.format(previous=previous) + name
        for previous, name in itertools.pairwise(names)
    ]
    return "".join([" ", names[0], *following, frame.end])
