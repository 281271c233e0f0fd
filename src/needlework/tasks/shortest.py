"""The shortest length at which a task can be asked, found without any haystack."""

from collections.abc import Callable
from dataclasses import replace

from needlework.errors import BudgetError
from needlework.tasks import generators, prompt_budget
from needlework.tasks.fitting import Counter
from needlework.tasks.material import Item, Material
from needlework.tasks.specs import Spec, question_group
from needlework.tokenizers import Tokenizer


def shortest_length(
    spec: Spec,
    *,
    material: Material,
    tokenizer: Tokenizer,
    length: int,
    samples: int,
    seed: int,
    task: str,
) -> int:
    """The smallest length in tokens, from `length` on, at which `tasks.generate` makes so many
    samples: `length` itself where they fit.

    What a prompt holds without hay may grow with its length, never shrink.
    """
    counter, begin = Counter(tokenizer), len(tokenizer.begin)
    address = ("evaluate", question_group(spec, task))
    while True:
        try:
            budget = prompt_budget(spec, length, begin=begin)
        except BudgetError:
            length += 1
            continue
        items = [Item(seed, address, index, budget, length) for index in range(samples)]
        taken = _tokens(spec, material, items, counter)
        if taken <= budget:
            return length
        length += taken - budget


def _tokens(spec: Spec, material: Material, items: list[Item], count: Callable[[str], int]) -> int:
    """The tokens that the longest prompt takes without hay; where questions that do not fit are
    left out, the first one that fits, or else the shortest of all.
    """
    first = generators.plan(spec, material, items[0])
    if first.choices == 1:
        plans = (generators.plan(spec, material, item) for item in items)
        return max(count(plan.compose(0).text) for plan in plans)
    least = count(first.compose(0).text)
    for index in range(1, first.choices):
        if least <= items[0].budget:
            break
        plan = generators.plan(spec, material, replace(items[0], index=index))
        least = min(least, count(plan.compose(0).text))
    return least
