"""Chains of assignments in noise, drawn as the artifact draws them.

Every sample of a file is shown the same solved example, which is drawn first, from the same
streams.
"""

import string
from collections.abc import Sequence
from dataclasses import dataclass

from needlework.tasks.released.counting import Counter, Part, Rope
from needlework.tasks.released.draws import Draws, UnluckyError
from needlework.tasks.released.prompts import Prompts, around_context
from needlework.tasks.released.replay import Draft, Needle
from needlework.tasks.specs import VariableTrackingSpec

KIND = "variable_tracking"
EXAMPLE_LENGTH = 500
"""Tokens the solved example may have, answer included."""
EXAMPLE_STEP = 5
_NAME, _EXAMPLE_NAME = 5, 3
"""Letters of a variable's name."""
_EXAMPLE_HOPS = 10
_LOWEST, _ABOVE = 10_000, 99_999
_HEAD, _PREFIX = 20, 10
"""Characters by which the artifact finds the task and the answer prefix in a template."""


@dataclass(frozen=True, slots=True)
class _Chain:
    names: Sequence[str]
    statements: Sequence[str]


class Tracking:
    """The samples of one task in one wrapper, or their solved example."""

    def __init__(
        self,
        spec: VariableTrackingSpec,
        prompts: Prompts,
        *,
        template: str,
        draws: Draws,
        counter: Counter,
        example: bool,
    ) -> None:
        self._spec, self._draws, self._example = spec, draws, example
        before, after = around_context(_bare(template, prompts) if example else template)
        self._before, self._after = before, after
        self._noise = f"{prompts.noise}\n"
        self._lines = counter.repeated(f"{self._noise} ")

    def draw(self, _: int, size: int) -> Draft:
        """The next prompt with `size` lines of noise.

        Raises:
            UnluckyError: two variables have the same name, or there is no room for the chain.
        """
        chains = self._chains()
        if size <= len(chains[0].statements):
            context, placed, units = self._in_fragments(chains, size)
        else:
            context, placed, units = self._in_lines(chains, size)
        value = chains[0].statements[0].split("=")[-1].strip()
        fill = {"query": value, "num_v": self._spec.hops + 1}
        question = self._after.format(**fill)
        names = list(chains[0].names)
        own = set(chains[0].statements)
        return Draft(
            rope=[self._before.format(**fill), *context, question],
            answers=names,
            suffix=f" {names}",
            needles=lambda: [
                Needle(text.strip(), 100 * place / max(units, 1), text in own)
                for place, text in placed
            ],
            question=question,
        )

    def _chains(self) -> list[_Chain]:
        """Every chain: the first variable gets a number, each of the others its predecessor.

        A name that was drawn before is not replaced; another one is drawn in addition, which makes
        a chain too many, and a chain too short is an error in the artifact.
        """
        letters = _EXAMPLE_NAME if self._example else _NAME
        hops = min(_EXAMPLE_HOPS, self._spec.hops) if self._example else self._spec.hops
        wanted = (hops + 1) * self._spec.chains
        names = [self._name(letters) for _ in range(wanted)]
        while len(set(names)) < wanted:
            names.append(self._name(letters))
        chains = []
        for start in range(0, len(names), hops + 1):
            chain = names[start : start + hops + 1]
            value = self._draws.numbers.randint(_LOWEST, _ABOVE)
            if len(chain) <= hops:
                raise UnluckyError
            statements = [f"VAR {chain[0]} = {value}"]
            statements += [f"VAR {chain[j + 1]} = VAR {chain[j]} " for j in range(hops)]
            chains.append(_Chain(chain, statements))
        return chains

    def _name(self, letters: int) -> str:
        return "".join(self._draws.stream.choices(string.ascii_uppercase, k=letters))

    def _positions(self, statements: Sequence[str], units: int) -> list[int]:
        """Where a chain's statements go among the present units, each found in its place."""
        if len(statements) > units:
            raise UnluckyError
        drawn = sorted(self._draws.stream.sample(range(units), len(statements)))
        return [position + earlier for earlier, position in enumerate(drawn)]

    def _in_lines(
        self, chains: Sequence[_Chain], size: int
    ) -> tuple[Rope, list[tuple[int, str]], int]:
        """Lines of noise with the statements between them."""
        placed: list[tuple[int, str]] = []
        for chain in chains:
            spots = self._positions(chain.statements, size + len(placed))
            for spot, statement in zip(spots, chain.statements, strict=True):
                moved = [(each + (each >= spot), text) for each, text in placed]
                placed = sorted([*moved, (spot, statement)])
        rope: list[str | Part] = []
        done = 0
        for spot, statement in placed:
            rope += [*self._lines.times(spot - done), f"{statement} "]
            done = spot + 1
        units = size + len(placed)
        if done < units:
            return [*rope, *self._lines.times(units - done - 1), self._noise], placed, units
        return [*rope[:-1], placed[-1][1]], placed, units

    def _in_fragments(
        self, chains: Sequence[_Chain], size: int
    ) -> tuple[Rope, list[tuple[int, str]], int]:
        """Too few lines for the chain: their sentences, with as much of the chain as finds room."""
        fragments = [each for _ in range(size) for each in self._noise.split(".")]
        units = [f"{each}." if each.strip() else each for each in fragments]
        cut = len(units) - 1 if len(units) <= len(chains[0].statements) else None
        for chain in chains:
            statements = chain.statements[:cut]
            for spot, statement in zip(
                self._positions(statements, len(units)), statements, strict=True
            ):
                units.insert(spot, statement)
        stated = {statement for chain in chains for statement in chain.statements}
        placed = [(place, unit) for place, unit in enumerate(units) if unit in stated]
        return [" ".join(units).replace(". \n", ".\n")], placed, len(units)


def _bare(template: str, prompts: Prompts) -> str:
    """A template without its wrapper, as the artifact cuts it out: one word too many is lost."""
    task = prompts.tasks[KIND]
    start = template.index(task.template[:_HEAD])
    prefix = template.index(task.answer_prefix[:_PREFIX])
    return " ".join(template[start:prefix].split()[:-1]) + template[prefix:]


def solved(prompt: str, answers: Sequence[str]) -> str:
    """The example's prompt with its answer, as every sample shows it."""
    return f"{prompt} {' '.join(answers)}\n\n"


def with_example(rope: Rope, example: str | Part, prompts: Prompts) -> Rope:
    """A sample's prompt with the solved example between wrapper and task."""
    head, *rest = rope
    assert isinstance(head, str)
    start = head.index(prompts.tasks[KIND].template[:_HEAD])
    return [f"{head[:start]} ", example, f"\n\n{head[start:]}", *rest]
