"""Task generators: from a spec, a material and a token budget to samples.

`generate` draws, fits and records every sample; each generator module plans one kind of task.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from needlework.errors import BudgetError
from needlework.records import Sample, SampleDetail
from needlework.tasks import drafts, generators
from needlework.tasks.controls import Control
from needlework.tasks.drafts import Draft, Outline
from needlework.tasks.fitting import Counter, largest_fit
from needlework.tasks.material import Item, Material
from needlework.tasks.specs import Spec, question_group
from needlework.tokenizers import Tokenizer

log = logging.getLogger(__name__)

FILLED = 0.9
"""A prompt of less than this share of its tokens does not fill them, where there is no more hay; a
unit of hay that did not fit leaves over less."""


def generate(
    spec: Spec,
    *,
    material: Material,
    tokenizer: Tokenizer,
    length: int,
    samples: int,
    seed: int,
    task: str,
    control: Control | None = None,
) -> Iterator[tuple[Sample, SampleDetail]]:
    """Yield `samples` samples whose prompt and answer take at most `length` tokens.

    Sample i draws from streams below (seed, task, i): it does not depend on how many samples or
    which other tasks are made, nor on the length or the tokenizer, which only decide how much hay
    surrounds its needles. Needles at a fixed depth share one address whatever the depth and the
    haystack, so that the samples of the depth suite differ in nothing else. A question whose own
    documents are too long is left out, and the next one takes its place. How many were, and whether
    the material ends before the length does, is told in the log. A control without haystack or
    without the needle that is asked for has the same draws.

    Raises:
        BudgetError: the question alone is too long, where there is no other.
    """
    counter = Counter(tokenizer)
    budget = prompt_budget(spec, length, begin=len(tokenizer.begin))
    first = Item(seed, ("evaluate", question_group(spec, task)), 0, budget, length)
    first = replace(first, needle=control != "no-needle")
    items = _Items(first, has_hay=control != "no-haystack")
    for index in range(samples):
        draft = items.next(spec, material, counter)
        tokens = counter(draft.text)
        items.longest = max(items.longest, tokens)
        yield (
            Sample(
                index=index,
                input=draft.text,
                outputs=draft.outputs,
                length=tokens + spec.tokens_to_generate,
            ),
            _detail(index, tokens, draft),
        )
    items.tell(task)


@dataclass
class _Items:
    """The items of a dataset one after the other, and what is to be said of them together."""

    at: Item
    """The next one."""
    has_hay: bool = True
    """Whether prompts are filled with hay."""
    guess: int = 1
    too_long: set[int] = field(default_factory=set)
    """The items whose questions alone do not fit."""
    longest: int = 0
    """Tokens of the longest prompt."""
    exhausted: bool = False
    """Whether all the material there is stands in some prompt."""

    def next(self, spec: Spec, material: Material, counter: Callable[[str], int]) -> Draft:
        """The draft of the next item that fits.

        Raises:
            BudgetError: no question does.
        """
        tried = 0
        while True:
            item = self.at
            self.at = replace(item, index=item.index + 1)
            plan = generators.plan(spec, material, item)
            plan = plan if self.has_hay else replace(plan, most=0)
            try:
                draft, self.guess = _largest(plan, item.budget, counter, guess=self.guess)
            except BudgetError as error:
                tried += 1
                if tried >= plan.choices:
                    others = f", and neither does any of {tried} questions" if tried > 1 else ""
                    raise BudgetError(f"{error}{others}") from error
                self.too_long.add(item.index % plan.choices)
                continue
            self.exhausted |= self.has_hay and self.guess == plan.most < item.budget
            return draft

    def tell(self, task: str) -> None:
        """Say in the log what a reader of the dataset would not see."""
        if self.too_long:
            log.warning(
                "%s at %d tokens: %d questions are left out, whose own documents alone take more "
                "than the %d tokens of a prompt",
                *(task, self.at.length, len(self.too_long), self.at.budget),
            )
        if self.exhausted and self.longest < FILLED * self.at.budget:
            log.warning(
                "%s at %d tokens: the material ends before, the longest prompt has %d tokens; "
                "tables say so",
                *(task, self.at.length, self.longest),
            )


def prompt_budget(spec: Spec, length: int, *, begin: int) -> int:
    """Tokens a prompt may take within `length`, after the answer and `begin` special tokens.

    Raises:
        BudgetError: nothing is left.
    """
    budget = length - spec.tokens_to_generate - begin
    if budget < 1:
        raise BudgetError(
            f"length = {length} leaves no token for a prompt after {spec.tokens_to_generate} for "
            f"the answer and {begin} special; raise the length or lower tokens_to_generate"
        )
    return budget


def fit(
    spec: Spec,
    material: Material,
    item: Item,
    count: Callable[[str], int],
    *,
    guess: int = 1,
) -> tuple[Draft, int]:
    """The draft of an item with the largest haystack its budget permits, and that size."""
    plan = generators.plan(spec, material, item)
    return _largest(plan, item.budget, count, guess=guess)


def _largest(
    plan: Outline, budget: int, count: Callable[[str], int], *, guess: int
) -> tuple[Draft, int]:
    size = largest_fit(
        lambda size: count(plan.compose(size).text), budget, most=plan.most, guess=guess
    )
    return plan.compose(size), size


def _detail(index: int, tokens: int, draft: Draft) -> SampleDetail:
    return SampleDetail(
        index=index,
        prompt_tokens=tokens,
        depths=tuple(needle.depth for needle in draft.needles),
        needles=drafts.spans(draft.needles),
        answers=tuple(needle.answer for needle in draft.needles),
        question_start=draft.question_start,
        distractors=draft.others or None,
    )
